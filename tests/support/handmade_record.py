"""A record written by hand, as the schema says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.record import load
from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, ManifestNumber, Read
from analysis.record.names import FileName
from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, NEVER, OUTCOMES, TRIAL
from trainables.config.terms.registry import ATTACK

NOW = datetime(2026, 11, 20, tzinfo=UTC)

NATURAL, FGSM, PGD = ManifestColumn("Natural", False), ManifestColumn("FGSM", True), ManifestColumn("PGD-20", True)


def ranks(right: str) -> list[int]:
    """Return ranks from text such as ``"1101"``: one digit for each example, 1 for a correct prediction."""
    return [0 if digit == "1" else 3 for digit in right]


def share(right: int, of: int = 10) -> str:
    """Return ranks of ``of`` examples of which the first ``right`` are classified correctly."""
    return "1" * right + "0" * (of - right)


def traits(name: str) -> dict[str, Any]:
    """Return the traits that the record stores with an attack's fields; those of PGD for unknown names."""
    spec = ATTACK.infos.get(name.lower(), ATTACK.infos["pgd"])
    steps = 1 if spec is ATTACK.infos["fgsm"] else 20 if spec.stepwise else None
    return {"sees": spec.sees.value, "iterates": spec.iterates, "ensemble": spec.ensemble, "gradient_steps": steps}


@dataclass
class Storage:
    """Writes a record under ``root``; an evaluation's accuracy is that of its ranks unless it is given."""

    root: Path
    parts: dict[str, int] = field(default_factory=dict)

    def table(self, trial: str, table: str, schema: pa.Schema, rows: list[dict[str, Any]], part: str = "") -> Path:
        """Write the only version of a trial's file, and return its path."""
        sink = BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
        folder = self.root / "trials" / trial
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob(f"{table}-{part}-*" if part else f"{table}-*"):
            file.unlink()
        file = folder / str(FileName.of(table, part, 1, sink.getvalue(), "parquet"))
        file.write_bytes(sink.getvalue())
        return file

    def trial(
        self,
        key: str,
        status: str = "finished",
        reason: str = "",
        epochs: int = 5,
        versions: str | None = None,
        history: Sequence[Mapping[str, Any]] | None = None,
        **config: Any,
    ) -> None:
        """Write a trial's row. ``versions``: as JSON; ``history``: its epochs, by default those that it finished."""
        row = {
            "trial": key,
            "status": status,
            "reason": reason,
            "epochs": epochs,
            "best_epoch": epochs,
            "seed": 0,
            "versions": versions,
            "created": NOW,
        }
        row["config"] = json.dumps({"training": {"epochs": 5}} | config)
        done = [{"epoch": i + 1, "train_loss": 1.0, "finished": NOW} for i in range(epochs)]
        row["history"] = done if history is None else history
        self.table(key, "trial", TRIAL, [row])

    def evaluation(
        self,
        trial: str,
        attack: str,
        right: str,
        *,
        head: str = "final",
        checkpoint: str = "last",
        accuracy: float | None = None,
        spec: dict[str, Any] | None = None,
        complete: bool | None = None,
        ranks_of: Sequence[int] | None = None,
        **more: Any,
    ) -> None:
        """Write one more part with one evaluation.

        ``spec``: fields of its attack; ``ranks_of``: in place of ``right``; ``more``: further columns.
        """
        part = str(self._next(trial))
        row: dict[str, Any] = {
            "evaluation": f"{trial}-{checkpoint}-{attack}" + ("-complete" if complete else ""),
            "trial": trial,
            "checkpoint": checkpoint,
            "attack": attack,
            "attack_spec": json.dumps(spec or {"name": attack}),
            "head": head,
            **traits(spec["name"] if isinstance(spec, dict) else attack),
        }
        found = ranks(right) if ranks_of is None else ranks_of
        row |= {
            "accuracy": right.count("1") / len(right) if accuracy is None else accuracy,
            "ranks": found,
            "examples": len(found),
            "complete": complete,
            "finished": NOW,
            "part": part,
            "median_distance": np.median(more["distance"]) if "distance" in more else None,
            **more,
        }
        if row["gradient_steps"] is not None and head == "final":
            row.setdefault("broken", [NEVER if rank == 0 else 0 for rank in found])
        self.table(trial, "outcomes", OUTCOMES, [row], part)
        self.table(trial, "evaluations", EVALUATIONS, [row], part)

    def remove(self, trial: str, attack: str) -> None:
        """Delete every part that holds a trial's evaluation by this attack."""
        for file in (self.root / "trials" / trial).glob("evaluations-*"):
            if attack in pq.read_table(file)["attack"].to_pylist():
                file.unlink()

    def failure(self, trial: str, attack: str, reason: str, *, checkpoint: str = "last") -> None:
        """Write one more part with one evaluation that failed."""
        key = f"{trial}-{checkpoint}-{attack}"
        row: dict[str, Any] = {"evaluation": key, "trial": trial, "checkpoint": checkpoint, "attack": attack}
        row |= {"label": attack, "reason": reason, "finished": NOW}
        self.table(trial, "failures", FAILURES, [row], str(self._next(trial)))

    def _next(self, trial: str) -> int:
        """Count a trial's parts."""
        self.parts[trial] = self.parts.get(trial, 0) + 1
        return self.parts[trial]

    def measured(
        self,
        trial: str,
        name: str,
        shape: Sequence[int],
        values: Sequence[float],
        *,
        measure: str = "m",
        checkpoint: str = "last",
    ) -> None:
        """Write one more part with one array of one measurement."""
        key = f"{trial}-{measure}" if checkpoint == "last" else f"{trial}-{measure}-{checkpoint}"
        row = {"measurement": key, "trial": trial, "array": name, "shape": shape, "values": values, "finished": NOW}
        row |= {"measure": measure, "measure_name": measure, "checkpoint": checkpoint}
        self.table(trial, "measures", MEASURES, [row], str(self._next(trial)))

    def evaluated(self, trial: str, checkpoint: str = "last", **right: int) -> None:
        """A finished trial with so many of ten examples right under each attack."""
        self.trial(trial)
        for attack, number in right.items():
            self.evaluation(trial, attack, share(number), checkpoint=checkpoint)

    def manifest(self, manifest: Manifest) -> None:
        """Write a manifest."""
        file = self.root / manifest.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(manifest.to_json(), encoding="utf-8")

    def load(self, trials: Sequence[str] | None = None) -> load.Record:
        """Read the whole record."""
        return load.load(str(self.root), trials)


def arm(
    label: str, trials: Sequence[str], betas: Sequence[str] = ("0",), columns: Sequence[str] = ("FGSM", "PGD-20")
) -> ManifestArm:
    """Build an arm with attacks named ``natural``, ``FGSM0``, ``PGD0``, ... after column and beta_atk."""
    reads = {"Natural": (Read("natural"),)} | {c: tuple(Read(c.split("-")[0] + b, b) for b in betas) for c in columns}
    return ManifestArm((label,), {str(seed): trial for seed, trial in enumerate(trials)}, reads)


def manifest(*arms: ManifestArm, **changes: Any) -> Manifest:
    """Build the manifest of a study of the modules with the columns Natural, FGSM and PGD-20."""
    values: dict[str, Any] = {
        "study": "cifs/modules",
        "aliases": ("table-1",),
        "reference": "Table 1",
        "title": "CIFS & its rivals, β = 2",
        "profile": "demo",
        "variant": "demo",
        "overrides": {},
        "selection": "validation",
        "checkpoint": "last",
        "rows_by_beta": False,
        "factors": ("module",),
        "columns": (NATURAL, FGSM, PGD),
        "arms": arms,
        "printed": (),
        "created": "2026-11-20T10:00:00+00:00",
    }
    return Manifest(**values | changes)


def number(label: str, column: str, value: float, checkpoint: str = "last", std: float | None = None) -> ManifestNumber:
    return ManifestNumber(tuple(label.split("|")), checkpoint, column, value, std)
