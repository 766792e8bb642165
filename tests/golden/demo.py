"""The results of a demo run in its storage: epochs, ranks of every evaluation, and tables."""

import hashlib
import json
from typing import Any

import numpy as np

from analysis.record.load import find_manifest, load
from analysis.render import to_csv, to_text
from analysis.tables import build

EPOCH = ("epoch", "lr", "train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy")


def values(storage: str) -> dict[str, Any]:
    """Collect by row and seed every epoch's numbers and digests of the ranks by attack and head, and every table."""
    manifest = find_manifest(storage, "cifs/robustness", "demo")
    record = load(storage, manifest.trials)
    names = {key: f"{' '.join(arm.labels)} seed {seed}" for arm in manifest.arms for seed, key in arm.trials.items()}
    found: dict[str, Any] = {}
    for trial, rows in record.epochs.groupby("trial"):
        numbers = rows.sort_values("epoch")[list(EPOCH)].to_numpy(np.float64)
        found[f"epochs of {names[str(trial)]}"] = [[round(float(n), 4) for n in row] for row in numbers]
    e = record.evaluations
    for trial, checkpoint, spec, head, complete, accuracy, row in zip(
        e["trial"], e["checkpoint"], e["attack_spec"], e["head"], e["complete"], e["accuracy"], e.itertuples(), strict=True
    ):
        text = spec if isinstance(spec, str) else json.dumps(dict(spec))
        name = f"{names[trial]} {checkpoint} {json.dumps(json.loads(text), sort_keys=True)} {head} {complete}"
        found[f"ranks of {name}"] = [
            accuracy,
            hashlib.sha256(np.asarray(record.outcomes.of(row).ranks, np.uint16).tobytes()).hexdigest()[:16],
        ]
    for over in ("minimum", "per-sample", "each"):
        table = build(record, manifest, checkpoint="both", over_beta=over)
        found[f"table over beta_atk: {over}"] = [to_text(table).splitlines(), to_csv(table).splitlines()]
    return found
