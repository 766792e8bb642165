"""What every training attack promises, on networks with several modules."""

from typing import ClassVar
from unittest.mock import patch

import pytest
import torch
from torch import Generator, Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from advsweep.testing.cases import DIGITS, RESNET, batch, disturb, draws, named, seeded
from advsweep.testing.contract import Contract, failing, having, nothing_drawn
from trainables import config
from trainables.attacks import Adversarial, training_attack
from trainables.attacks.building_blocks.ball import Linf
from trainables.models import Network, build_model
from trainables.plugins.promises import check_images, untouched

#: An epoch in which an attack that depends on it goes all its way.
LATE = 100


class TrainingAttackContract(Contract):
    """Tests of a training attack."""

    spec: ClassVar[config.TrainingAttack]

    def draws(self, spec: config.TrainingAttack) -> bool:
        """Whether other random numbers make other images; override it for an attack that draws none."""
        return True

    def one_by_one(self, spec: config.TrainingAttack) -> bool:
        """Whether each example is attacked for itself; override it for an attack that moves the batch as a whole."""
        return True

    def attack(self, spec: config.TrainingAttack, module: str, n: int = 8, seed: int = 0, epoch: int = 1) -> Adversarial:
        """Run the attack on ``n`` examples."""
        x, y = batch(n)
        return _run(spec, module, self.network(named(module)), x, y, Generator().manual_seed(seed), epoch)

    @pytest.mark.parametrize("n", [1, 3, 8])
    def test_the_budget_and_the_range_are_kept(self, spec: config.TrainingAttack, module: str, n: int) -> None:
        x, _ = batch(n)
        x_adv, targets = self.attack(spec, module, n)
        check_images(spec, x, x_adv, room=1e-6)
        assert x_adv.dtype == x.dtype, "images must keep their precision"
        assert not x_adv.requires_grad, "images must have no gradient"
        assert not torch.equal(x_adv, x), "nothing was changed"
        assert spec.labels == (targets is not None), f"labels is {spec.labels}, and the attack does otherwise"
        if targets is not None:
            assert (targets.shape, targets.requires_grad) == ((n, DIGITS.classes), False)
            torch.testing.assert_close(targets.sum(1), torch.ones(n))

    @pytest.mark.parametrize("fails", [False, True])
    def test_nothing_else_is_changed(self, spec: config.TrainingAttack, module: str, fails: bool) -> None:
        """Modes, gradients, statistics and global generators; after an error in the model too."""
        model, (x, y) = disturb(self.network(named(module))), batch(3)
        several = [{"bn": bn} for bn in ("eval", "train")] if "bn" in type(spec).model_fields else [{}]
        for settings in several:
            with nothing_drawn(), untouched(model, x, y), failing(model, fails):
                _run(spec.model_copy(update=settings), module, model, x, y, Generator().manual_seed(0))

    def test_a_generators_seed_decides_every_bit(self, spec: config.TrainingAttack, module: str) -> None:
        one, again, other = (self.attack(spec, module, seed=seed).images for seed in (3, 3, 4))
        assert torch.equal(one, again), "the same seed must make the same images"
        differ = not torch.equal(one, other)
        assert differ == self.draws(spec), f"another seed makes {'other' if differ else 'the same'} images"

    def test_an_example_does_not_depend_on_its_batch(self, spec: config.TrainingAttack, module: str) -> None:
        """Each example's own objective is maximised: alone it ends where it ends among others, from the same start."""
        model = self.network(named(module))
        if draws(model) or not self.one_by_one(spec):
            pytest.skip("the batch matters to the network or to the attack, which say so")
        model, (x, y), generator = model.double(), batch(6, torch.float64), Generator()
        before = generator.get_state()
        with patch.object(Linf, "start", lambda self, kind, generator, **_: self.project(self.x + 0.03)):
            together = _run(spec, module, model, x, y, generator, LATE).images
            if not torch.equal(generator.get_state(), before):
                pytest.skip("the numbers that are drawn for an example depend on how many come before it")
            alone = [_run(spec, module, model, x[i : i + 1], y[i : i + 1], Generator(), LATE).images for i in range(6)]
        torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("module", ["cas"])
    def test_the_callers_gradient_setting_does_not_matter(self, spec: config.TrainingAttack, module: str) -> None:
        with torch.no_grad():
            without = self.attack(spec, module).images
        assert torch.equal(without, self.attack(spec, module).images)

    @having("beta_atk")
    @pytest.mark.parametrize("module", ["cas"])
    def test_the_inserted_modules_are_aimed_at_or_not(self, spec: config.TrainingAttack, module: str) -> None:
        aimed = (spec.model_copy(update={"beta_atk": beta_atk}) for beta_atk in ("own", "0"))
        own, final = (self.attack(one, module, epoch=LATE).images for one in aimed)
        assert not torch.equal(own, final), "beta_atk makes no difference; derive from Bounded if the attack has no aim"

    def test_it_never_waits_for_the_device(self, spec: config.TrainingAttack, module: str) -> None:
        """With tensors that hold no value, every question about one is an error."""
        with FakeTensorMode(), patch.object(Linf, "start", lambda self, kind, generator, **_: self.x):
            model = seeded(build_model(RESNET, named(module), DIGITS, seed=0))
            x, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
            training_attack(spec, named(module), model, x, y, Generator(), 1)


def _run(
    spec: config.TrainingAttack, module: str, model: Network, x: Tensor, y: Tensor, generator: Generator, epoch: int = 1
) -> Adversarial:
    return training_attack(spec, named(module), seeded(model), x, y, generator, epoch)
