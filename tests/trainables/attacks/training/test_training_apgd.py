"""APGD as a training attack: what becomes of images that it does not break."""

import torch

from tests.support.small_network import examples, small
from trainables.attacks.training.run import training_attack
from trainables.config import APGD, CAS

WEAK = 0.02


def test_images_that_stay_right_or_were_wrong_are_natural_where_it_says():
    """As AutoAttack returns them: it attacks what is right, and returns what it breaks."""
    model, (x, y) = small().eval(), examples(64)
    with torch.no_grad():
        y = torch.where(torch.arange(len(y)) % 4 > 0, model(x).logits.argmax(1), y)

    def run(unbroken):
        spec = APGD(eps=WEAK, iterations=5, unbroken=unbroken)
        generator = torch.Generator().manual_seed(0)
        return training_attack(spec, CAS(positions=("block1.1",)), model, x, y, generator, 1).images

    best, natural = run("best"), run("natural")
    changed = (best != x).flatten(1).any(1)
    assert changed.all()
    with torch.no_grad():
        broken = (model(x).logits.argmax(1) == y) & (model(best).logits.argmax(1) != y)
    assert 0 < broken.sum() < len(y)
    assert torch.equal(natural[broken], best[broken])
    assert torch.equal(natural[~broken], x[~broken])
