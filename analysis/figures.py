"""The data of a study's figure, as long frames with a row for every value."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.curves import accuracy_by_eps, accuracy_by_iterations
from analysis.record.load import Record
from analysis.record.manifest import Manifest
from analysis.record.outcomes import Outcome


def frames(record: Record, manifest: Manifest, checkpoint: Literal["last", "best"]) -> dict[str, pd.DataFrame]:
    """Collect the data of a study's figure as far as the record holds it: frames by title.

    ``by epoch``: a row for every epoch of every trial. ``by gradient steps``: accuracy after 0, 1, ... steps over all restarts
    of each attack that counts them. ``by eps``: accuracy at 0 and at each eps at which a minimal-norm attack breaks a further
    example. For each measure of the figure, by its label: a row for every value of its arrays, at its index (``i``, ``j``,
    ...; empty where an array has fewer dimensions). Every row also has the labels of the factors, and the seed.
    """
    found = {"by epoch": _by_epoch(record, manifest)} if manifest.by_epoch else {}
    for title, column, curve in (("by gradient steps", "gradient_steps", _by_steps), ("by eps", "median_distance", _by_eps)):
        if not (frame := _curves(record, manifest, checkpoint, column, curve)).empty:
            found[title] = frame
    for title in dict.fromkeys(title for arm in manifest.arms for title in arm.pictures):
        found[title] = _picture(record, manifest, title, checkpoint)
    return found


def _trials(manifest: Manifest) -> pd.DataFrame:
    """List the trials of a study: a row each, with its key, the factors' labels and the seed."""
    rows = [
        {"trial": key, **dict(zip(manifest.factors, arm.labels, strict=True)), "seed": int(seed)}
        for arm in manifest.arms
        for seed, key in arm.trials.items()
    ]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(["trial", *manifest.factors, "seed"])))


def _by_epoch(record: Record, manifest: Manifest) -> pd.DataFrame:
    epochs = record.epochs[["trial", "epoch", *manifest.by_epoch]].sort_values(["trial", "epoch"])
    return _trials(manifest).merge(epochs, on="trial", how="inner").drop(columns="trial")


def _curves(
    record: Record, manifest: Manifest, checkpoint: str, column: str, curve: Callable[[Any, Outcome], pd.DataFrame]
) -> pd.DataFrame:
    """Apply ``curve`` to each evaluation of the study that has a value in ``column``: a row for every point."""
    e = record.evaluations
    there = e[(e["checkpoint"] == checkpoint) & (e["head"] == "final") & e[column].notna()].drop_duplicates(["trial", "attack"])
    rows = dict(zip(zip(there["trial"], there["attack"], strict=True), there.itertuples(), strict=True))
    accuracies = {shown.label for shown in manifest.columns if shown.kind == "accuracy" and shown.only is None}
    made = [
        curve(row, record.outcomes.of(row)).assign(trial=trial, attack=label, beta_atk=read.beta_atk or "")
        for arm in manifest.arms
        for label in (label for label in arm.reads if label in accuracies)
        for read in arm.reads[label]
        for trial in arm.trials.values()
        if (row := rows.get((trial, read.attack))) is not None
    ]
    parts = [part for part in made if not part.empty]
    if not parts:
        return pd.DataFrame()
    return _trials(manifest).merge(pd.concat(parts, ignore_index=True), on="trial", how="inner").drop(columns="trial")


def _by_steps(row: Any, outcome: Outcome) -> pd.DataFrame:
    """Compute accuracy by gradient steps from one evaluation; empty where its attack does not say when it broke an example."""
    if outcome.broken is None:
        return pd.DataFrame()
    steps = int(row.gradient_steps)
    return pd.DataFrame({"steps": range(steps + 1), "accuracy": accuracy_by_iterations(np.asarray(outcome.broken), steps)})


def _by_eps(row: Any, outcome: Outcome) -> pd.DataFrame:
    """Compute accuracy by eps from one evaluation."""
    distance = np.asarray(outcome.distance, np.float64)
    eps = np.unique([0.0, *distance[np.isfinite(distance)]])
    return pd.DataFrame({"eps": eps, "accuracy": accuracy_by_eps(distance, eps)})


def _picture(record: Record, manifest: Manifest, title: str, checkpoint: str) -> pd.DataFrame:
    measures = {key: arm.pictures[title] for arm in manifest.arms if title in arm.pictures for key in arm.trials.values()}
    there = record.measures[record.measures["checkpoint"] == checkpoint]
    parts = [_values(row) for row in there.itertuples() if measures.get(str(row.trial)) == row.measure]
    values = (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"trial": [], "array": [], "value": []}, dtype=object)
    )
    return _trials(manifest).merge(values, on="trial", how="inner").drop(columns="trial")


def _values(row: Any) -> pd.DataFrame:
    """List every value of a measurement's array with its index."""
    values = np.asarray(row.values, np.float64)
    indices = np.unravel_index(np.arange(len(values)), tuple(row.shape)) if len(row.shape) else ()
    return pd.DataFrame({"trial": row.trial, "array": row.array, **dict(zip("ijkl", indices, strict=False)), "value": values})
