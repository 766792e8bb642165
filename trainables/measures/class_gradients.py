"""Gradient norms of the classes' likelihoods with respect to the image."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.gradient import frozen
from trainables.data import evaluation_batches
from trainables.measures.subject import Array, Floats, Subject, array

#: Functions from logits (B, classes) to likelihoods l (B, classes), by their names in ``config.ClassGradients``.
LIKELIHOODS: dict[str, Callable[[Tensor], Tensor]] = {
    "probability": lambda z: z.softmax(1),
    "log-probability": lambda z: z.log_softmax(1),
    "logit": lambda z: z,
}


def gradient_norms(model: nn.Module, x: Tensor, likelihood: Callable[[Tensor], Tensor]) -> Tensor:
    """Compute the L2 norm |grad_x l_i(x)| for every class i: float64 (B, classes); the model is left unchanged."""
    with frozen(model):
        x = x.detach().requires_grad_()
        # In float64: in float32, a likelihood near 1 has a gradient of 0, and the square of a small gradient underflows.
        l = likelihood(model(x).logits.double())  # noqa: E741 - the paper's symbol
        gradients = (torch.autograd.grad(l[:, i].sum(), x, retain_graph=True)[0] for i in range(l.shape[1]))
        return torch.stack([gradient.double().flatten(1).norm(dim=1) for gradient in gradients], dim=1)


def class_means(values: Floats, labels: Array, classes: int) -> Floats:
    """Average ``values`` (N, M) over the examples of each class: (classes, M); nan for classes without examples."""
    means = [
        values[labels == t].mean(axis=0) if (labels == t).any() else np.full(values.shape[1], np.nan) for t in range(classes)
    ]
    return np.stack(means)


def class_gradients(spec: config.ClassGradients, subject: Subject) -> dict[str, Array]:
    """Compute E_x |d l_i / d x| by the class of x (AFD, section 4, "Gradient landscape", and Figure 4, right).

    Returns:
        ``gradients``: (classes, classes): true class by row, class whose likelihood is differentiated by column. The figure
        shows their logarithm.
    """
    likelihood = LIKELIHOODS[spec.likelihood]
    norms = [
        gradient_norms(subject.network, x, likelihood) for x, _ in evaluation_batches(subject.examples, subject.batch_size)
    ]
    return {"gradients": class_means(array(norms), subject.examples.labels.cpu().numpy(), norms[0].shape[1])}
