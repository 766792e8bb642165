"""The rows of an arm: one, or one for each of the attacker's joint losses."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from analysis.record.manifest import ManifestArm, ManifestColumn, Read


def by_beta(arm: ManifestArm, columns: Sequence[ManifestColumn], over_beta: str) -> list[ManifestArm]:
    """Split an arm into its rows: one, or one for each beta_atk, the first of which also has the columns without beta_atk."""
    if over_beta != "each":
        return [arm]
    by_beta = {column.label for column in columns if column.kind == "accuracy"}
    attacked = [read for column, reads in arm.reads.items() if column in by_beta for read in reads]
    betas = list(dict.fromkeys(read.beta_atk for read in attacked if read.beta_atk)) or [""]
    first = replace(
        arm,
        labels=(*arm.labels, betas[0]),
        reads={c: _of_beta(reads, betas[0], None) if c in by_beta else reads for c, reads in arm.reads.items()},
    )
    others = [
        replace(
            arm,
            labels=(*arm.labels, beta),
            reads={column: _of_beta(reads, beta) for column, reads in arm.reads.items() if column in by_beta},
            measures={},
            training=(),
        )
        for beta in betas[1:]
    ]
    return [first, *others]


def _of_beta(reads: Iterable[Read], *betas: str | None) -> tuple[Read, ...]:
    return tuple(read for read in reads if read.beta_atk in betas)
