"""The room that a plan's checkpoints take in the storage."""

import shutil
from functools import lru_cache

from orchestrator.errors import DiskFull
from orchestrator.planning.plan import Plan
from orchestrator.record.store import Store
from trainables.config import DatasetInfo, Model, Module


def check_room(plan: Plan, store: Store) -> None:
    """Check that the checkpoints of the trials that a plan begins fit on a local storage's disk; other files are small.

    Raises:
        DiskFull: they do not.
    """
    if not store.local:
        return
    need, free = checkpoint_bytes(plan), shutil.disk_usage(store.nearest).free
    if need > free:
        raise DiskFull(
            f"--storage {store.uri!r}: the checkpoints of this plan take about {need / 1e9:.3g} GB, and its disk has "
            f"{free / 1e9:.3g} GB left; make room, or run fewer trials"
        )


def checkpoint_bytes(plan: Plan) -> int:
    """Estimate the bytes of the checkpoints of the trials that a plan begins.

    A trial keeps its best weights and its last ones. While the largest is trained it has a state too: the network, an
    optimiser's momentum and, where its weights are averaged, their average.
    """
    begun = [trial.config for trial in plan.to_run if not trial.recorded.epochs]
    sizes = [network_bytes(config.model, config.module, config.data.info) for config in begun]
    states = [size * (3 if config.training.averaging else 2) for size, config in zip(sizes, begun, strict=True)]
    return 2 * sum(sizes) + max(states, default=0)


@lru_cache(maxsize=1024)
def network_bytes(model: Model, module: Module, info: DatasetInfo) -> int:
    """Count the bytes of a network's weights and batch statistics, by building it."""
    from trainables.models import build_model

    return sum(tensor.nbytes for tensor in build_model(model, module, info, seed=0).state_dict().values())
