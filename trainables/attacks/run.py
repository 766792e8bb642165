"""What the inputs maximise in evaluations, by the names in ``config.Attack``."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked, closest
from trainables.attacks.building_blocks.gradient import Expectation, Objective, clean_outputs
from trainables.attacks.building_blocks.harm import in_turn
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy, cw_margin, dlr, margin, targeted_dlr
from trainables.attacks.building_blocks.surrogate import JointLogits, Judge, Surrogate, draws, judge
from trainables.attacks.building_blocks.watch import Watch
from trainables.attacks.methods import minimal
from trainables.attacks.methods.apgd import apgd
from trainables.attacks.methods.fab import fab
from trainables.attacks.methods.fgsm import fgsm
from trainables.attacks.methods.margin_decomposition import md
from trainables.attacks.methods.momentum import diverse, mim, nearby
from trainables.attacks.methods.nattack import nattack
from trainables.attacks.methods.noise import noise
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.methods.square import square
from trainables.attacks.training.run import TRAINING_ATTACKS, Batch
from trainables.config import registry
from trainables.joint import Weights, attack_weights
from trainables.models import Network


class Source(NamedTuple):
    """Another trial's network, on the attacked one's device, and what is inserted in it."""

    network: Network
    module: config.Module


#: Networks to transfer from, by their trial's key and ``best`` or ``last``.
Sources = Mapping[tuple[str, str], Source]


class Case(NamedTuple):
    """What every attack is given. ``network``: what counts; ``model``: what is differentiated; ``complete``: see run_attack."""

    network: nn.Module
    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    sources: Sources
    complete: bool

    def watched(self, attack: Callable[..., Tensor], *, look: bool = False, first: bool = True) -> Attacked:
        """``attack`` with a watch, if the network's prediction is a function of the image.

        Otherwise an image is not misclassified or right, but now and then, and whoever looks more often finds more: the end
        point alone is judged then. ``look``: whether gradients are of other images than those visited.
        """
        if draws(self.network):
            return Attacked(attack(watch=None))
        along = self.model is self.network and not look
        leave = not self.complete and not draws(self.model)
        watch = Watch(self.network, self.x, self.y, along=along, leave=leave, first=first or not along)
        return Attacked(attack(watch=watch), broken=watch.since)

    def blindly(self, attack: Callable[[], Tensor]) -> Attacked:
        """``attack``, that knows nothing of who is broken; what is misclassified as it is stays so, whatever comes out."""
        if draws(self.network):
            return Attacked(attack())
        watch = Watch(self.network, self.x, self.y, along=False, leave=False)
        images = attack()
        broken = (watch.since == 0)[:, None, None, None]
        return Attacked(images if self.complete else torch.where(broken, self.x, images), broken=watch.since)

    def one_by_one(self, attacks: list[Callable[[Tensor, Tensor], Tensor]]) -> Attacked:
        """``attacks`` in turn, each on what is left."""
        run = partial(in_turn, self.network, self.x, self.y, attacks, every=self.complete)
        return self.blindly(run) if self.complete else Attacked(run())

    def objective(self, term: Callable[[Tensor, Tensor], Tensor]) -> Objective:
        return joint_objective(self.weights, term)

    @property
    def judge(self) -> Judge:
        return judge(self.network, self.model)

    @property
    def logits(self) -> nn.Module:
        return JointLogits(self.model, self.weights, self.x.dtype)


def _natural(spec: config.Natural, c: Case) -> Tensor:
    return c.x


def _noise(spec: config.Noise, c: Case) -> Attacked:
    settings: dict[str, Any] = {"eps": spec.eps, "norm": spec.norm, "generator": c.generator, "restarts": spec.restarts}
    return c.blindly(partial(noise, c.network, c.x, c.y, **settings))


def _fgsm(spec: config.FGSM, c: Case) -> Attacked:
    settings: dict[str, Any] = {"eps": spec.eps, "objective": c.objective(cross_entropy), "over": Expectation(spec.eot)}
    return c.watched(partial(fgsm, c.model, c.x, c.y, **settings), first=False)


def _ascend(spec: config.PGD | config.CW | config.AvgPGD, c: Case, look: bool = False, **settings: Any) -> Attacked:
    attack = partial(
        pgd,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        generator=c.generator,
        start=spec.start,
        norm=spec.norm,
        judge=c.judge,
        **settings,
    )
    return c.watched(attack, look=look, first=spec.start != "zero")


def _pgd(spec: config.PGD | config.CW, c: Case) -> Attacked:
    term = cw_margin(spec.confidence) if isinstance(spec, config.CW) else cross_entropy
    return _ascend(spec, c, objective=c.objective(term), restarts=spec.restarts, over=Expectation(spec.eot))


def _avg_pgd(spec: config.AvgPGD, c: Case) -> Attacked:
    look = nearby(c.generator, radius=spec.radius * spec.eps) if spec.radius else None
    return _ascend(spec, c, look is not None, objective=c.objective(margin), over=Expectation(spec.samples, look))


def _mim(spec: config.MIM | config.DIFGSM, c: Case) -> Attacked:
    look = None
    if isinstance(spec, config.DIFGSM):
        look = diverse(c.generator, probability=spec.probability, smallest=spec.smallest)
    attack = partial(
        mim,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        decay=spec.decay,
        objective=c.objective(cross_entropy),
        generator=c.generator,
        start=spec.start,
        over=Expectation(spec.eot, look),
    )
    return c.watched(attack, look=look is not None, first=spec.start != "zero")


def _md(spec: config.MD, c: Case) -> Attacked:
    attack = partial(
        md,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        iterations=spec.iterations,
        first=spec.first,
        weights=c.weights,
        generator=c.generator,
        restarts=spec.restarts,
        over=Expectation(spec.eot),
        judge=c.judge,
    )
    return c.watched(attack)


def _apgd(spec: config.AutoPGD, c: Case) -> Attacked:
    """Every restart, and every target, is on what those before it left right."""

    def run(rank: int, x: Tensor, y: Tensor) -> Tensor:
        term: Callable[[Tensor, Tensor], Tensor] = cross_entropy if spec.loss == "ce" else dlr
        if spec.loss == "targeted-dlr":
            wrong = clean_outputs(c.network, x).logits.scatter(1, y[:, None], -torch.inf)
            term = targeted_dlr(wrong.topk(rank + 1, dim=1).indices[:, rank])
        return apgd(
            c.model,
            x,
            y,
            eps=spec.eps,
            iterations=spec.iterations,
            objective=c.objective(term),
            generator=c.generator,
            norm=spec.norm,
            over=Expectation(spec.eot),
            judge=c.judge,
        )

    classes = clean_outputs(c.network, c.x[:1]).logits.shape[1]
    ranks = range(min(spec.targets, classes - 1) if spec.loss == "targeted-dlr" else 1)
    return c.one_by_one([partial(run, rank) for rank in ranks for _ in range(spec.restarts)])


def _square(spec: config.Square, c: Case) -> Attacked:
    run = partial(
        square,
        c.network,
        eps=spec.eps,
        norm=spec.norm,
        queries=spec.queries,
        p=spec.p,
        rescale=spec.rescale,
        objective=c.objective(margin),
        generator=c.generator,
    )
    return c.one_by_one([run] * spec.restarts)


def _nattack(spec: config.NAttack, c: Case) -> Attacked:
    run = partial(
        nattack,
        c.network,
        eps=spec.eps,
        queries=spec.queries,
        samples=spec.samples,
        sigma=spec.sigma,
        step=spec.step,
        objective=c.objective(margin),
        generator=c.generator,
    )
    return c.one_by_one([run])


def _fab(spec: config.FAB, c: Case) -> Attacked:
    run = partial(
        fab,
        c.network,
        c.logits,
        eps=spec.eps,
        norm=spec.norm,
        iterations=spec.iterations,
        generator=c.generator,
        targets=spec.targets,
        restarts=spec.restarts,
    )
    return closest(c.network, c.x, c.y, eps=spec.eps, norm=spec.norm, search=run)


def _minimal(search: Callable[..., list[Tensor]], spec: Any, c: Case) -> Attacked:
    def run(x: Tensor, y: Tensor) -> list[Tensor]:
        return search(spec, c.network, c.logits, x, y, c.generator)

    return closest(c.network, c.x, c.y, eps=spec.eps, norm=spec.norm, search=run)


def _autoattack(spec: config.AutoAttack, c: Case) -> Attacked:
    def run(part: Any, x: Tensor, y: Tensor) -> Tensor:
        return run_attack(part, c.network, x, y, c.weights, c.generator, complete=c.complete).images

    return c.one_by_one([partial(run, part) for part in spec.parts()])


def _transfer(spec: config.Transfer, c: Case) -> Attacked:
    place = spec.source, spec.checkpoint
    if place not in c.sources:
        there = ", ".join("/".join(other) for other in c.sources) or "none"
        raise ValueError(f"attack.source = {'/'.join(place)}: this network is not there to transfer from; there: {there}")
    source = c.sources[place]
    weights = attack_weights(getattr(spec.attack, "beta_atk", "own"), source.module)
    return c.blindly(lambda: run_attack(spec.attack, source.network, c.x, c.y, weights, c.generator).images)


def _as_training(spec: config.AsTraining, c: Case) -> Attacked:
    final = (1.0, *(0.0 for _ in c.weights[1:]))
    weights = final if getattr(spec.attack, "beta_atk", "own") == "0" else c.weights
    batch = Batch(c.network, c.x, c.y, weights, c.generator, epoch=1)
    return c.blindly(lambda: TRAINING_ATTACKS[spec.attack.name](spec.attack, batch).images)


#: ``(spec, case) -> images or Attacked`` for each name.
ATTACKS: ChainMap[str, Callable[[Any, Case], Tensor | Attacked]] = ChainMap(
    {
        "natural": _natural,
        "noise": _noise,
        "fgsm": _fgsm,
        "pgd": _pgd,
        "cw": _pgd,
        "avg-pgd": _avg_pgd,
        "mim": _mim,
        "di-fgsm": _mim,
        "md": _md,
        "apgd": _apgd,
        "fab": _fab,
        "ddn": partial(_minimal, minimal.ddn),
        "deepfool": partial(_minimal, minimal.deepfool),
        "cw-l2": partial(_minimal, minimal.cw_l2),
        "brendel-bethge": partial(_minimal, minimal.brendel_bethge),
        "boundary": partial(_minimal, minimal.boundary),
        "square": _square,
        "nattack": _nattack,
        "autoattack": _autoattack,
        "as-training": _as_training,
        "transfer": _transfer,
    },
    registry.ATTACK.table("functions"),
)


def run_attack(
    spec: config.Attack,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    weights: Weights,
    generator: Generator,
    sources: Sources = MappingProxyType({}),
    *,
    complete: bool = True,
) -> Attacked:
    """Adversarial images and what is known of them; the network, its gradients and the global generators stay as they were.

    Args:
        spec: which attack, and its settings.
        network: called without labels, in evaluation mode. An attack with a ``view`` differentiates that, and is judged by
            the network itself.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: of the heads, from :func:`trainables.joint.attack_weights`.
        generator: the only source of chance, on x's device.
        sources: the networks that a transferred attack may come from.
        complete: whether every example is attacked to the end, so that images are the attack's own end points. If not, one
            is attacked until it is broken (see :mod:`trainables.config.attacks`), and its image is what broke it; which ones
            are, and since when, is the same.

    Raises:
        ValueError: a transferred attack's source is not among ``sources``.
    """
    view: config.View = getattr(spec, "view", "plain")
    model = network if view == "plain" else Surrogate(network, view)
    found = ATTACKS[spec.name](spec, Case(network, model, x, y, weights, generator, sources, complete))
    return found if isinstance(found, Attacked) else Attacked(found)
