"""A trial's record as metrics of MLflow: numbers with a name, a time and an epoch. Pure."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from mlflow.entities import Metric

#: Columns of the record's epochs that become metrics.
EPOCH_METRICS = (
    "lr",
    "train_loss",
    "train_accuracy",
    "natural_accuracy",
    "robust_accuracy",
    "images_per_second",
    "discriminator_accuracy",
)


def epoch_metrics(epochs: Iterable[Mapping[str, Any]], after: int = 0) -> Iterator[Metric]:
    """Yield losses, accuracies (fractions) and speed of every finished epoch ``after`` one."""
    for row in epochs:
        for name in EPOCH_METRICS if row["epoch"] > after else ():
            if row[name] is not None:
                yield Metric(name, row[name], milliseconds(row["finished"]), row["epoch"])


def evaluation_metrics(evaluations: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield each evaluation's accuracy (a fraction), named like ``last/pgd-20/beta_atk 2``, and the minimum over beta_atk."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in evaluations:
        short, variant = _attack_name(row["attack_spec"])
        groups.setdefault((f"{row['checkpoint']}/{short}", variant), []).append(row)
    for (short, variant), rows in groups.items():
        base = _unique_name(short, variant, groups)
        for row in rows:
            label = f"{base}/beta_atk {row['beta_atk']}" if row["beta_atk"] else base
            yield Metric(as_name(label), row["accuracy"], milliseconds(row["finished"]), row["epoch"])
        if rows[0]["beta_atk"]:
            worst = min(rows, key=lambda row: row["accuracy"])
            yield Metric(as_name(f"{base}/minimum"), worst["accuracy"], milliseconds(worst["finished"]), worst["epoch"])


def measure_metrics(measures: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield the mean of the finite numbers of every measured array, named like ``last/dimensions/units``."""
    rows = {
        (f"{row['checkpoint']}/{row['measure_name']}/{row['array']}", _digest(row["measure_spec"])): row for row in measures
    }
    for (short, variant), row in rows.items():
        values = row["values"][np.isfinite(row["values"])]
        if len(values):
            name = _unique_name(short, variant, rows)
            yield Metric(as_name(name), float(values.mean()), milliseconds(row["finished"]), row["epoch"])


@lru_cache
def _attack_name(spec: str) -> tuple[str, str]:
    """Return an attack's short name from its JSON, and a hash of its other fields; once, for many trials share an attack."""
    fields = json.loads(spec)
    short = "-".join(str(fields[part]) for part in ("name", "iterations", "split") if fields.get(part) is not None)
    return short, _digest(
        {name: value for name, value in fields.items() if name not in {"name", "beta_atk", "iterations", "split"}}
    )


def as_name(text: str) -> str:
    """Make a name that MLflow takes: at most 250 characters, without braces and others that it refuses."""
    return re.sub(r"[^\w\-. :/]", "_", text)[:250]


def _unique_name(short: str, variant: str, names: Collection[tuple[str, str]]) -> str:
    """Return a short name, with a hash appended if another one is the same (attacks that differ in eps or step alone)."""
    return short if [name for name, _ in names].count(short) == 1 else f"{short}-{variant}"


def _digest(value: Any) -> str:
    """Hash a value that can be JSON to six hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:6]


def milliseconds(time: Any) -> int:
    """Convert a time of the record to MLflow's: milliseconds since 1970."""
    return int(time.timestamp() * 1000)
