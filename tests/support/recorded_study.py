"""A storage with a study that was never trained: rows, outcomes, weights and states written by hand."""

from dataclasses import replace
from pathlib import Path

from analysis.record.manifest import Manifest
from orchestrator.planning.plan import Plan
from orchestrator.record.store import Store
from tests.support.tiny_study import EPOCHS, tiny_plan
from tests.support.untrained_trials import answer, write

WEIGHTS, STATE = b"weights" * 100, b"state" * 1000


def recorded_study(folder: Path, seeds: int = 2) -> tuple[Store, Plan]:
    """Write the tiny study, every trial finished and evaluated, and return its storage and its plan."""
    store, made = Store(str(folder)), tiny_plan(seeds=seeds)
    for i, trial in enumerate(made.trials):
        write(store, trial)
        answer(store, trial, {"Natural": 0.8, "FGSM": 0.5 + i / 100, "PGD": 0.4})
        for epoch in (EPOCHS - 1, EPOCHS):
            store.write_weights(trial.key, epoch, WEIGHTS + bytes([epoch]))
        store.write_state(trial.key, EPOCHS, STATE)
    store.write_manifest(made.manifests[0])
    return store, made


def other_study(made: Plan, rows: int = 1) -> Manifest:
    """Return the manifest of another study, of the first ``rows`` rows of the tiny one."""
    manifest = made.manifests[0]
    return replace(manifest, study="tiny/other", aliases=(), arms=manifest.arms[:rows], variant="demo@few=1")
