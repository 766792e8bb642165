"""What every attack of an evaluation promises, on networks with several modules that know the images."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from advsweep.testing.cases import MANY, RESNET, batch, disturb, draws, named, seeded
from advsweep.testing.contract import Contract, failing, having, nothing_drawn
from trainables import config
from trainables.attacks import Attacked, SourceNetwork, SourceNetworks, run_attack
from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.surrogate import errs
from trainables.joint import Weights, attack_weights, joint, training_weights
from trainables.models import Network, build_model
from trainables.outputs import Outputs
from trainables.plugins.promises import check_images, untouched

#: The trial that a transferred attack comes from.
SOURCE = "0" * 16


class Case(NamedTuple):
    """A trained network, images and what it says of them, and the weights of its heads."""

    module: config.Module
    network: Network
    x: Tensor
    y: Tensor
    weights: Weights

    def attacked(self, spec: config.Attack, generator: Generator, weights: Weights | None = None) -> Attacked:
        """Run the attack; a transferred one comes from the same network."""
        sources: SourceNetworks = {(SOURCE, "last"): SourceNetwork(self.network, self.module)}
        return run_attack(spec, seeded(self.network), self.x, self.y, weights or self.weights, generator, sources)

    def outputs(self, x: Tensor) -> Outputs:
        """Run the network on images."""
        with torch.no_grad():
            return seeded(self.network).eval()(x)


def attack_few_classes(spec: config.Attack, classes: int) -> Attacked:
    """Attack an untrained network of so few classes."""
    info = config.DatasetInfo(classes, 1, 8, 100, 50)
    network = build_model(RESNET, config.NoModule(), info, seed=0).eval()
    x, _ = batch(4)
    with torch.no_grad():
        y = network(x).logits.argmax(1)
    return Case(config.NoModule(), network, x, y, (1.0,)).attacked(spec, Generator().manual_seed(0))


class AttackContract(Contract):
    """Tests of an attack, whose ``eps`` should be about 0.1 in L-inf, 1 in L2 and 4 in L1, on digits of 8 x 8 pixels."""

    spec: ClassVar[config.Attack]

    def variants(self) -> Sequence[Any]:
        """Every specification whose budget is checked; of an attack with several norms, override it with one of each."""
        return self.specs()

    def axes(self) -> dict[str, Sequence[Any]]:
        return super().axes() | {"variant": self.variants()}

    def asks(self, spec: config.Attack) -> bool:
        """Whether it runs the network."""
        return spec.sees is not config.Sees.NOTHING

    def draws(self, spec: config.Attack) -> bool:
        """Whether random numbers decide where it ends, though it starts at the image; override it for an attack that draws."""
        return False

    def harms(self, spec: config.Attack, module: str) -> bool:
        """Whether the loss rises, or a smallest change is found, with the module of that name."""
        return self.asks(spec)

    def tolerance(self, spec: config.Attack) -> float:
        """How far apart images in double precision may be; override it for an attack that computes in single precision."""
        return 1e-9

    def distinct_aims(self, spec: config.Attack) -> int:
        """Of ten pairs of aims, how many must lead to other images; without gradients a few will do."""
        return 10 if spec.sees is config.Sees.GRADIENTS and not spec.ensemble else 4

    def case(self, module: str, n: int = 8, dtype: torch.dtype = torch.float32) -> Case:
        """Make a network that has learned its batches, so that there is something to attack."""
        spec, (x, _) = named(module), batch(n)
        made = Case(spec, self.network(spec, steps=MANY), x, x, training_weights(spec))
        made = made._replace(y=made.outputs(x).logits.argmax(1), x=x.to(dtype))
        made.network.to(dtype)
        return made

    @pytest.mark.parametrize("n", [1, 3, 8])
    def test_the_budget_and_the_range_are_kept(self, variant: config.Attack, module: str, n: int) -> None:
        case = self.case(module, n)
        x, (x_adv, distance, *_) = case.x, case.attacked(variant, Generator().manual_seed(0))
        room = 1e-6 * x[0].numel()
        check_images(variant, x, x_adv, room)
        if isinstance(inner := getattr(variant, "attack", None), config.Spec):
            check_images(inner, x, x_adv, room)
        assert x_adv.dtype == x.dtype, "images must keep their precision"
        assert not x_adv.requires_grad, "images must have no gradient"
        if distance is not None:
            assert distance.dtype == torch.float32
            assert distance.shape == (n,), "there must be one distance for each example"
            within = distance <= getattr(variant, "eps", 0)
            found = length(x_adv - x, getattr(variant, "norm", "linf"))
            torch.testing.assert_close(found[within], distance[within])
            assert torch.equal(x_adv[~within], x[~within]), "images farther away than eps must be left as they are"

    @pytest.mark.parametrize("module", ["cas", "fsr", "sap"])
    def test_it_harms(self, spec: config.Attack, module: str) -> None:
        """The loss rises; where an attack searches for the smallest change, what it found is wrong, and the rest untouched."""
        case = self.case(module)
        x_adv, distance, *_ = case.attacked(spec, Generator().manual_seed(0))

        def value(images: Tensor) -> Tensor:
            outputs = case.outputs(images)
            return joint(case.weights, lambda z: cross_entropy(z, case.y, reduction="none"), outputs).mean()

        if distance is not None and not draws(case.network):
            wrong = errs(case.outputs(x_adv).logits, case.y)
            assert torch.equal(wrong, distance <= getattr(spec, "eps", 0)), "what is within eps must be misclassified"
        if self.harms(spec, module):
            if distance is not None:
                assert (distance < torch.inf).any(), "no image was misclassified"
            else:
                before, after = value(case.x), value(x_adv)
                assert after > before + 1e-3, f"the loss that it maximises must rise, and went from {before:g} to {after:g}"

    def test_it_needs_no_more_classes_than_it_says(self, spec: config.Attack) -> None:
        """A plan refuses an attack by its ``least_classes``, so it must run on a network of so many."""
        attack_few_classes(spec, spec.least_classes)

    @pytest.mark.parametrize("fails", [False, True])
    @pytest.mark.parametrize("module", ["cas", "fsr", "sap"])
    def test_nothing_else_is_changed(self, spec: config.Attack, module: str, fails: bool) -> None:
        """Modes, gradients, statistics and global generators; after an error in the model too."""
        case = self.case(module, 3)
        disturb(case.network)
        if "restarts" in type(spec).model_fields:
            spec = spec.model_copy(update={"restarts": 2})
        broken = failing(case.network, fails and self.asks(spec))
        with nothing_drawn(), untouched(case.network, case.x, case.y), broken:
            case.attacked(spec, Generator())

    @pytest.mark.parametrize("module", ["fsr", "sap"])
    def test_a_generators_seed_decides_every_bit(self, spec: config.Attack, module: str) -> None:
        case = self.case(module)
        one, other = (case.attacked(spec, Generator().manual_seed(3)) for _ in range(2))
        equal = [torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True) if a is not None and b is not None]
        assert all(equal), "the same seed must make the same images"

    @pytest.mark.parametrize("module", ["cas", "fsr"])
    def test_an_example_does_not_depend_on_its_batch(self, spec: config.Attack, module: str) -> None:
        """Each example's own objective is maximised: alone it ends where it ends among others."""
        if self.draws(spec):
            pytest.skip("the numbers that are drawn for an example depend on how many come before it")
        if "start" in type(spec).model_fields:
            spec = spec.model_copy(update={"start": "zero"})
        case = self.case(module, dtype=torch.float64)
        together = case.attacked(spec, Generator().manual_seed(0)).images
        ones = [case._replace(x=case.x[i : i + 1], y=case.y[i : i + 1]) for i in range(len(case.x))]
        alone = torch.cat([one.attacked(spec, Generator().manual_seed(0)).images for one in ones])
        farthest = float((alone - together).abs().max())
        within = farthest <= self.tolerance(spec)
        assert within, (
            f"images differ by {farthest:g} when examples are attacked alone; if it draws, override draws() to return True"
        )

    @pytest.mark.parametrize("module", ["cifs"])  # whose forward pass takes gradients itself
    def test_the_callers_gradient_setting_does_not_matter(self, spec: config.Attack, module: str) -> None:
        case = self.case(module)
        with torch.no_grad():
            without = case.attacked(spec, Generator().manual_seed(0)).images
        assert torch.equal(without, case.attacked(spec, Generator().manual_seed(0)).images)

    @having("beta_atk")
    def test_every_aim_of_an_adaptive_attacker_works(self, spec: Any) -> None:
        case = self.case("cas")
        if getattr(spec, "norm", "") == "linf":
            spec = spec.model_copy(update={"eps": 0.3})
        aims: Sequence[str] = ("0", "2", "inf", "inf-1", "inf-2", "own")
        weights = {aim: attack_weights(config.Aim.parse(aim), case.module) for aim in aims}
        ends = [case.attacked(spec, Generator().manual_seed(0), weights[aim]).images for aim in aims]
        different = [torch.equal(one, other) for one, other in combinations(ends[:5], 2)].count(False)
        assert different >= self.distinct_aims(spec), f"of 10 pairs of aims {different} lead to other images"
        torch.testing.assert_close(ends[5], ends[1])  # the module's own beta is 2

    @having("view")
    def test_a_view_is_another_attack_where_the_module_has_one(self, spec: config.Attack, module: str) -> None:
        self.compare(spec, module, "soft")

    @having("view")
    @pytest.mark.parametrize("module", ["fsr", "cas"])
    def test_the_training_view_is_another_attack_where_the_module_has_one(self, spec: config.Attack, module: str) -> None:
        self.compare(spec, module, "train")

    def compare(self, spec: config.Attack, module: str, view: config.View) -> None:
        """Check that a view which the module has leads to other images, and one that it lacks to the same."""
        case = self.case(module)
        views = (spec.model_copy(update={"view": one}) for one in ("plain", view))
        plain, seen = (case.attacked(one, Generator().manual_seed(0)).images for one in views)
        if view not in case.module.views:
            assert torch.equal(plain, seen), f"{module} has no view {view}, and the images differ"
        elif not torch.equal(plain, case.x):  # something was found
            assert not torch.equal(plain, seen), f"{module} has a view {view}, and it makes no difference"
        for inserted in case.network.inserted.values():
            assert inserted.view == "plain", "the view must be given back"
            assert not inserted.training, "the mode must be given back"
