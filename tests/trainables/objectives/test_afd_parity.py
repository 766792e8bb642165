"""AFD against the numbers of its authors' code: one batch through their training on their MNIST network.

Repository BashivanLab/afd, commit 7631421: ``afd_train.train`` with its defaults for MNIST (``resnet18norm``, SGD), in float64,
and an attack that returns the adversarial images below. Its numbers are those of the checkpoint that it saves. Weights are
filled from torch's generator with seeds 1 (network) and 2 (discriminator); the power iterations of the spectral norms start at
the singular vectors, because torch's two implementations of them take turns in another order.
"""

from typing import Any

import pytest
import torch
from torch import nn

from tests.support.parity import fill, summary
from trainables.config import AFD, DATASETS, Data, Model, Training, TrainingPGD, TrialConfig
from trainables.models import build_model
from trainables.objectives import build_learner

#: By ``gan_loss_type``: losses; two numbers of all weights after the step, of the gradients that made it (of the classification
#: with weight decay, of the discriminator and of the encoder's deception), and of the running statistics.
CODE: dict[str, Any] = {
    "softplus": {  # dcgan
        "losses": (2.2959978636954905, 1.4697282237496476, 1.1310761123077586),
        "network": (57.64356024755777, 74.61923618653833),
        "discriminator": (20.011666045220814, 18.035115022942342),
        "network's gradient": (1.4330284240363431, -0.5050518425029502),
        "discriminator's gradient": (0.6024227436699139, 0.11009332458993408),
        "encoder's gradient": (0.1447481694261597, -0.031772303030598165),
        "means": (31.83240096656766, -33.111031589717854),
        "variances": (51.97077524239226, 15.033269521717695),
        "passes": 5,
    },
    "critic": {  # wgan_gp, with a penalty of weight 0
        "losses": (2.2959978636954905, -0.0036434373030822392, -0.05662958316500779),
        "network": (57.64361783296122, 74.61367497136553),
        "discriminator": (20.013530871402505, 18.084128776164807),
        "network's gradient": (1.4330284240363431, -0.5050518425029502),
        "discriminator's gradient": (0.024024535216830775, 0.012065818145007975),
        "encoder's gradient": (0.21796429963785113, -0.020649872684957396),
        "means": (40.5571220399874, -42.17309132740277),
        "variances": (59.9529065781227, 19.22345189449188),
        "passes": 7,
    },
}
MNIST = Model(name="resnet-18-afd", width=16, unit_features=True)


def weights(own):
    """The discriminator's weights in the order of the authors' code."""
    layers = [*own.layers, own.linear]
    both = [p for layer in layers for p in (layer.parametrizations.weight.original, layer.bias)]
    return [*both, own.embedding.parametrizations.weight.original]


def filled(loss, forwards="as-code"):
    trial = TrialConfig(
        data=Data(dataset="mnist", crop=0, flip=False),
        model=MNIST,
        objective=AFD(hidden=64, loss=loss, forwards=forwards, lr_encoder=0.5, lr_discriminator=0.5),
        attack=TrainingPGD(eps=0.3, step=0.01, iterations=40),
        training=Training(weight_decay=1e-4),
    )
    ours = build_learner(trial, build_model(trial.model, trial.module, DATASETS["mnist"], 0).train(), 1)
    ours.network.double()
    ours.own.double()
    fill(ours.network.parameters(), 1)
    fill(weights(ours.own), 2)
    normed = (m for m in ours.own.modules() if hasattr(m, "parametrizations"))
    for layer in normed:
        u, _, v = torch.linalg.svd(layer.parametrizations.weight.original.data, full_matrices=False)
        layer.parametrizations.weight[0]._u.copy_(u[:, 0])
        layer.parametrizations.weight[0]._v.copy_(v[0])
    return ours


def batch():
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.rand(8, 1, 28, 28, generator=generator, dtype=torch.float64) for _ in range(2))
    return x, (x + 0.3 * (2 * noise - 1)).clamp(0, 1), torch.randint(10, (8,), generator=generator)


def norms(network):
    return [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("loss", CODE)
def test_a_step_is_the_authors(loss):
    ours, code = filled(loss), CODE[loss]
    value, _ = ours.learn(*batch())
    network, own = list(ours.network.parameters()), weights(ours.own)

    def gradient(name, parameters):
        return summary(ours.optimizers[name].state[p]["momentum_buffer"] for p in parameters)

    # The rest of the discriminator's second loss is that of two different half steps of the power iteration.
    assert value.mean().item() == pytest.approx(sum(code["losses"]), abs=1e-6)
    assert gradient("network", network) == pytest.approx(code["network's gradient"], rel=1e-9)
    assert gradient("discriminator", own) == pytest.approx(code["discriminator's gradient"], rel=1e-9)
    assert gradient("encoder", ours.encoder) == pytest.approx(code["encoder's gradient"], rel=1e-4)
    assert summary(network) == pytest.approx(code["network"], rel=1e-6)
    assert summary(own) == pytest.approx(code["discriminator"], rel=1e-9)
    assert summary(m.running_mean for m in norms(ours.network)) == pytest.approx(code["means"], rel=1e-9)
    assert summary(m.running_var for m in norms(ours.network)) == pytest.approx(code["variances"], rel=1e-9)
    assert norms(ours.network)[0].num_batches_tracked.item() == code["passes"]
