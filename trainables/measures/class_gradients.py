"""How much the likelihood of each class depends on the image."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.gradient import frozen
from trainables.data import evaluation_batches
from trainables.measures.subject import Array, Floats, Subject, array

#: Logits (B, classes) to the likelihoods l (B, classes), by the names in ``config.ClassGradients``.
LIKELIHOODS: dict[str, Callable[[Tensor], Tensor]] = {
    "probability": lambda z: z.softmax(1),
    "log-probability": lambda z: z.log_softmax(1),
    "logit": lambda z: z,
}


def gradient_norms(model: nn.Module, x: Tensor, likelihood: Callable[[Tensor], Tensor]) -> Tensor:
    """|grad_x l_i(x)|, L2, of every class i: float64 (B, classes). The model is left as it was."""
    with frozen(model):
        x = x.detach().requires_grad_()
        # In double precision: a likelihood of nearly 1 has no slope in single, and a small slope no square.
        l = likelihood(model(x).logits.double())  # noqa: E741 - the paper's symbol
        gradients = (torch.autograd.grad(l[:, i].sum(), x, retain_graph=True)[0] for i in range(l.shape[1]))
        return torch.stack([gradient.double().flatten(1).norm(dim=1) for gradient in gradients], dim=1)


def class_means(values: Floats, labels: Array, classes: int) -> Floats:
    """Mean of ``values`` (N, M) over the examples of each class: (classes, M); nan where there are none."""
    means = [
        values[labels == t].mean(axis=0) if (labels == t).any() else np.full(values.shape[1], np.nan) for t in range(classes)
    ]
    return np.stack(means)


def class_gradients(spec: config.ClassGradients, subject: Subject) -> dict[str, Array]:
    """E_x |d l_i / d x| by the class of x (AFD, section 4, "Gradient landscape", and Figure 4, right).

    Returns:
        ``gradients``: (classes, classes), the true class in rows, the class whose likelihood is derived in columns. The figure
        shows the logarithm.
    """
    likelihood = LIKELIHOODS[spec.likelihood]
    norms = [
        gradient_norms(subject.network, x, likelihood) for x, _ in evaluation_batches(subject.examples, subject.batch_size)
    ]
    return {"gradients": class_means(array(norms), subject.examples.labels.cpu().numpy(), norms[0].shape[1])}
