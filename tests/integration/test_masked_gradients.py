"""The checklist on networks with masked gradients, on one without a mask, and on an adversarially trained one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import Tensor

from analysis.checks import ITEMS, Item, check
from analysis.record.files import RecordFiles
from analysis.record.load import Record
from analysis.record.manifest import ManifestArm
from analysis.record.outcomes import Outcomes
from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, TRIAL
from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import configure_attack, resolve
from search_spaces import checklist
from search_spaces.catalog import find
from trainables.attacks import SourceNetwork
from trainables.config import Attack, NoModule, Runtime, Standard, Transfer, TrialConfig, evaluation_stream
from trainables.data import Examples, load
from trainables.evaluation import evaluate
from trainables.joint import attack_weights
from trainables.measures import Subject, run_measure
from trainables.models import Network, build_model
from trainables.outputs import Outputs
from trainables.trial import Trial

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("masked gradients")]

#: How many examples of the test set are attacked, and fields that make attacks cheaper than the checklist's.
EXAMPLES = 150
CHEAPER: dict[str, dict[str, Any]] = {
    "square": {"queries": 300},
    "autoattack": {"iterations": 20, "queries": 300, "targets": 3},
}

NAMES = tuple(ITEMS)
GRADIENT, STEADY, WHITE, NOTHING, GRADIENTS = (NAMES[i] for i in (0, 1, 3, 6, 7))

#: The checklist's items that must fail, by mask.
FAILS = {
    "saturated": {GRADIENT, WHITE, NOTHING, GRADIENTS},
    "quantised": {GRADIENT, WHITE, NOTHING, GRADIENTS},
    "noisy": {STEADY},
}

(STUDY,) = find("cifs/robustness")
PLAN = plan(
    [replace(STUDY, columns=())],
    "demo",
    seeds=1,
    added=checklist.CHECKLIST,
    measures=checklist.MEASURES,
    checkpoints=("last",),
    overrides={"training.epochs": 10},
)
#: An adversarially trained trial, with the checklist's attacks.
AT = PLAN.trials[0]
CPU = Runtime(device="cpu", threads=1)


Forward = Callable[..., Outputs]


def saturated(network: Network, forward: Forward, x: Tensor, y: None = None) -> Outputs:
    """Return large logits, of which a softmax in float32 is exactly 0 or 1."""
    outputs = forward(x)
    return outputs._replace(logits=1e4 * outputs.logits)


def quantised(network: Network, forward: Forward, x: Tensor, y: None = None) -> Outputs:
    """Round pixels to five levels; rounding has a derivative of 0."""
    return forward((4 * x).round() / 4)


def noisy(network: Network, forward: Forward, x: Tensor, y: None = None) -> Outputs:
    """Add noise to the logits, different in every forward pass."""
    outputs = forward(x)
    assert network._generator is not None
    return outputs._replace(logits=outputs.logits + torch.randn(outputs.logits.shape, generator=network._generator))


def trained(config: TrialConfig) -> Callable[[], Network]:
    """Return a function that copies the network after its last epoch."""
    trial = Trial(config, CPU)
    while not trial.finished:
        trial.step()
    weights = trial.weights()

    def copy() -> Network:
        network = build_model(config.model, NoModule(), config.data.info, config.seed)
        network.load_state_dict(weights)
        return network.eval()

    return copy


def masked(network: Network, mask: Forward) -> Network:
    """Put a mask around the network's forward pass."""
    network.forward = partial(mask, network, network.forward)
    network.draws = mask is noisy  # type: ignore[assignment]
    return network


def attacks() -> Iterator[Attack]:
    """Yield the checklist's attacks, and PGD transferred from another network."""
    for evaluation in AT.evaluations:
        yield evaluation.attack.model_copy(update=CHEAPER.get(evaluation.attack.name, {}))
    fields = resolve(checklist.TRANSFERRED, STUDY.profiles["demo"].eps)
    yield configure_attack({"name": "transfer", "source": "0" * 16, "attack": fields})


def recorded(name: str, network: Network, source: Network, examples: Examples) -> tuple[list[Any], list[Any]]:
    """Return the rows of evaluations and of measures that the checklist reads."""
    place = {"trial": name, "checkpoint": "last"}
    rows = []
    for attack in attacks():
        transferred = isinstance(attack, Transfer)
        sources = {(attack.source, attack.checkpoint): SourceNetwork(source, NoModule())} if transferred else {}
        stream = evaluation_stream(attack)
        ranks = evaluate(network, examples, attack, attack_weights(None, NoModule()), 0, stream, sources).ranks["final"]
        found = {
            "head": "final",
            "attack_spec": attack.model_dump_json(),
            "sees": attack.sees.value,
            "iterates": attack.iterates,
            "ensemble": attack.ensemble,
            "gradient_steps": attack.gradient_steps,
            "accuracy": (ranks == 0).mean(),
            "examples": len(ranks),
        }
        rows.append({**place, **found})
    (measurement,) = AT.measurements
    arrays = run_measure(measurement.measure, Subject(network, examples, lambda attack: (1.0,), seed=0))
    name_of = {"measure_name": measurement.measure.name}
    return rows, [{**place, **name_of, "array": array, "values": values.astype(float)} for array, values in arrays.items()]


@cache
def standard() -> Callable[[], Network]:
    """Train a network without attack, and return what copies it."""
    fast = AT.config.training.model_copy(update={"epochs": 6})
    return trained(AT.config.model_copy(update={"objective": Standard(), "attack": None, "training": fast}))


#: What makes each network.
NETWORKS: dict[str, Callable[[], Network]] = {
    "standard": lambda: standard()(),
    "AT": lambda: trained(AT.config)(),
    **{mask.__name__: partial(lambda mask: masked(standard()(), mask), mask) for mask in (saturated, quantised, noisy)},
}


@cache
def checked(name: str) -> dict[str, Item]:
    """Return the checklist's items of a network, by their names."""
    torch.set_num_threads(1)
    examples = load(AT.config.data, CPU, torch.device("cpu")).test[torch.arange(EXAMPLES)]
    evaluations, measures = recorded(name, NETWORKS[name](), standard()(), examples)

    tables = {
        "trial": TRIAL.empty_table(),
        "evaluations": pa.Table.from_pylist(evaluations, schema=EVALUATIONS),
        "measures": pa.Table.from_pylist(measures, schema=MEASURES),
        "failures": FAILURES.empty_table(),
    }
    nowhere = RecordFiles("nowhere")  # the checklist looks at no single example
    record = Record(tables, Outcomes(nowhere), nowhere, {})
    manifest = replace(PLAN.manifests[0], arms=(ManifestArm((name,), {"0": name}, {}),))
    return {item.name: item for item in check(record, manifest, "last")[(name,)]}


def failed(items: dict[str, Item]) -> set[str]:
    return {name for name, item in items.items() if item.status == "failed"}


@pytest.mark.parametrize(
    "mask", ["saturated", *(pytest.param(mask, marks=pytest.mark.slow) for mask in ("quantised", "noisy"))]
)
def test_a_masked_network_fails(mask: str) -> None:
    assert failed(checked(mask)) >= FAILS[mask], checked(mask)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AT", "standard"])
def test_a_network_without_a_mask_fails_nothing(name: str) -> None:
    """The checklist judges whether accuracies can be trusted, not whether they are high."""
    assert failed(checked(name)) == set(), checked(name)
    run = {name for name, item in checked(name).items() if item.status != "not run"}
    # Without modules there is nothing to adapt to.
    assert run == {name for name in ITEMS if "adaptive" not in name}
