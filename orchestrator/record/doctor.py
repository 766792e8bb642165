"""The examination of a storage: every file is verified, and what is damaged or left over is listed. Changes nothing."""

import posixpath
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.record.files import BrokenRecordError, concurrently, trial_path
from analysis.record.manifest import Manifest
from analysis.record.names import FileName, newest, newest_weights
from analysis.record.rows import Listed, read_segment, segments
from analysis.record.schema import IDENTITY_FILE, SEGMENTS_FOLDER, STUDIES_FOLDER, TABLES, TRIALS_FOLDER, Status
from orchestrator.errors import Unavailable
from orchestrator.record.environments import environment_path, environments, named_in, read_environment
from orchestrator.record.files import ASIDE
from orchestrator.record.inventory import inventory
from orchestrator.record.removal import orphaned
from orchestrator.record.store import Store
from search_spaces.catalog import STUDIES

#: What of a trial's files has one newest file of each part; of weights, several epochs count.
_KINDS = (*TABLES, "state")

_DELETE = "nothing needs it, it can be deleted"

_ALONE = (
    "no study here has this trial: of other settings or fewer seeds than the last run's, or its study's manifest is lost, "
    "which the same `advsweep run` as before writes again, training nothing; `advsweep gc --only orphans` deletes the trial"
)

_LOST = "the weights of {} are not here: no number needs them, and a further attack does; {}"


class Kind(StrEnum):
    """What is wrong with a file.

    DAMAGED: its bytes are not those that were written, or something that belongs to it is lost. LOST: checkpoints of a trained
    trial, which no number needs and further attacks do; an export leaves them out. ORPHANED: nothing refers to it.
    HALF_WRITTEN: its writer was killed, or is at work now. DOUBLED: another file has replaced it. SET_ASIDE: a run has found it
    damaged.
    """

    DAMAGED = "damaged"
    LOST = "lost"
    ORPHANED = "orphaned"
    HALF_WRITTEN = "half-written"
    DOUBLED = "doubled"
    SET_ASIDE = "set aside"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a storage: its ``kind``, the file's ``path`` below the storage, and the ``remedy``."""

    kind: Kind
    path: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """What an examination found, in the order of the paths. ``verified``: how many files were read."""

    findings: tuple[Finding, ...]
    verified: int

    @property
    def damaged(self) -> tuple[Finding, ...]:
        """The findings that cost numbers, or that a reader would stumble over."""
        return tuple(finding for finding in self.findings if finding.kind == Kind.DAMAGED)

    def __str__(self) -> str:
        counts = Counter(finding.kind.value for finding in self.findings)
        return f"{self.verified} files verified: {', '.join(f'{n} {kind}' for kind, n in counts.items()) or 'all is well'}"


def examine(store: Store) -> Diagnosis:
    """Verify every file of a storage. A run that is at work meanwhile may have files that nothing refers to yet."""
    listed, paths, covering = store.trials(), store.manifest_paths(), segments(store)
    read = dict(zip(paths, concurrently(partial(_manifest, store), paths), strict=True))
    manifests = [manifest for manifest in read.values() if manifest]
    commands: dict[str, str] = {}
    for manifest in manifests:
        older = (key for keys in manifest.older.values() for key in keys)
        commands |= dict.fromkeys((*older, *manifest.beside, *manifest.trials), _command(manifest, store))
    findings = [
        *(Finding(Kind.DAMAGED, path, "the same run as before writes it again") for path in paths if read[path] is None),
        *_of_storage(store),
        *(finding for name in covering for finding in _of_segment(store, name)),
    ]
    mends = "the same run as before, with --verify, makes anew what is needed of it"
    texts = environments(store)
    findings += _of_environments(store, listed, texts)
    for found in concurrently(lambda key: [*_of_trial(store, key, listed[key], commands.get(key, mends))], listed):
        findings += found
    with suppress(Unavailable):  # a manifest is not readable: it is not known which trials a study has
        alone = orphaned(store, inventory(store)).intersection(listed)
        findings += [Finding(Kind.ORPHANED, f"{TRIALS_FOLDER}/{key}", _ALONE) for key in alone]
    verified = len(paths) + len(covering) + len(texts) + sum(map(len, listed.values()))
    return Diagnosis(tuple(sorted(findings, key=lambda finding: finding.path)), verified)


def _command(manifest: Manifest, store: Store) -> str:
    """Say which command makes anew what a trial of a study has lost."""
    if not manifest.arms:
        return "the same search as before makes anew what is needed of it"
    # Of a study from a file, or of plugins, nobody but the user knows the file.
    file = () if manifest.study in STUDIES else ("--study-file", "FILE")
    words = ["advsweep", "run", manifest.study, "--profile", manifest.profile, "--seeds", str(len(manifest.arms[0].trials))]
    for name, value in manifest.overrides.items():
        words += ["--set", f"{name}={value}"]
    return f"`{shlex.join([*words, *file, '--storage', store.uri, '--verify'])}` makes anew what is needed of it"


def _manifest(store: Store, path: str) -> Manifest | None:
    try:
        return store.manifest(path)
    except BrokenRecordError:
        return None


def _of_storage(store: Store) -> Iterator[Finding]:
    """Examine what belongs to no study: the identity, and files of killed writers and those that were set aside."""
    try:
        if store.has_file(IDENTITY_FILE):
            store.identity()
    except BrokenRecordError:
        mends = "delete it: `advsweep sync` writes a new one, and makes Optuna's studies in the storage anew"
        yield Finding(Kind.DAMAGED, IDENTITY_FILE, mends)
    for path in store.temporaries():
        where = posixpath.relpath(path, store.root)
        yield Finding(Kind.HALF_WRITTEN, where, "a run deletes it when it is an hour old; until then it may have a writer")
    for folder in (TRIALS_FOLDER, STUDIES_FOLDER):
        for info in store.entries(folder, recursive=True):
            if info.base_name.endswith(ASIDE):
                yield Finding(Kind.SET_ASIDE, posixpath.relpath(info.path, store.root), _DELETE)


def _of_environments(store: Store, listed: Listed, there: Sequence[str]) -> Iterator[Finding]:
    """Examine the texts that trials' rows name by their digests."""
    for found in there:
        try:
            read_environment(store, found)
        except FileNotFoundError:  # deleted meanwhile
            continue
        except BrokenRecordError:
            yield Finding(
                Kind.DAMAGED, environment_path(found), "no number needs it: delete it, and the next run here may write it again"
            )
    try:
        named = named_in(store, listed)
    except BrokenRecordError:  # a row, which is a finding of its own
        return
    for found in sorted({*there} - named):
        yield Finding(Kind.ORPHANED, environment_path(found), _DELETE)
    for found in sorted(named.difference(there)):
        yield Finding(
            Kind.DAMAGED, environment_path(found), "it is lost, and no number needs it: the next run here may write it again"
        )


def _of_segment(store: Store, name: FileName) -> Iterator[Finding]:
    if read_segment(store, name, pa.schema([])) is None:
        # No number is lost: its rows are read from the trials' files.
        yield Finding(Kind.ORPHANED, f"{SEGMENTS_FOLDER}/{name}", "damaged, and passed over: `advsweep compact` replaces it")


def _of_trial(store: Store, trial: str, names: Sequence[FileName], mends: str) -> Iterator[Finding]:
    """Examine the files of a trial; ``mends``: what to do where one is damaged."""
    current = {*newest(names, *_KINDS), *newest_weights(names)}
    tables: dict[tuple[str, str], pa.Table] = {}
    for name in names:
        path = trial_path(trial, name)
        try:
            if name not in current:
                yield Finding(Kind.DOUBLED, path, f"a newer version is there; {_DELETE}")
            elif name.extension == "parquet":
                tables[name.kind] = store.read_table(trial, name)
            else:
                store.verify_file(trial, name)
        except FileNotFoundError:  # replaced meanwhile
            continue
        except BrokenRecordError:
            yield Finding(Kind.DAMAGED, path, mends)
    by_kind = {name.kind: trial_path(trial, name) for name in current}
    yield from _of_evaluations(by_kind, tables, mends)
    if ("trial", "") not in by_kind:
        yield Finding(Kind.DAMAGED, f"{TRIALS_FOLDER}/{trial}", f"its row is lost: {mends}")
    elif (row := tables.get(("trial", ""))) is not None:
        yield from _of_weights(trial, newest_weights(names), row.to_pylist()[0], mends)


def _of_weights(trial: str, found: Sequence[FileName], row: Mapping[str, Any], mends: str) -> Iterator[Finding]:
    """Examine whether a trial has the weights that its row names, and no others; ``mends``: what makes them anew."""
    needed = {row["epochs"]: "its last epoch", row["best_epoch"]: "its best epoch"}
    for name in found:
        if name.order not in needed:
            yield Finding(Kind.ORPHANED, trial_path(trial, name), _DELETE)
    lost = [what for epoch, what in sorted(needed.items()) if epoch not in {name.order for name in found}]
    if lost and row["status"] == Status.FINISHED:
        yield Finding(Kind.LOST, f"{TRIALS_FOLDER}/{trial}", _LOST.format(" and ".join(lost), mends))


def _of_evaluations(
    paths: Mapping[tuple[str, str], str], tables: Mapping[tuple[str, str], pa.Table], mends: str
) -> Iterator[Finding]:
    """Examine whether each evaluation has its outcomes, and its accuracy is that of their ranks."""
    parts = {part for table, part in tables if table == "evaluations"}
    whole = {part for part in parts if ("outcomes", part) in paths}
    known = {key for part in whole for key in tables["evaluations", part]["evaluation"].to_pylist()}
    for part in sorted(parts):
        path, rows = paths["evaluations", part], tables["evaluations", part]
        outcomes = tables.get(("outcomes", part))
        if part not in whole and known.issuperset(rows["evaluation"].to_pylist()):
            yield Finding(Kind.DOUBLED, path, f"its outcomes are lost, and its evaluations were run again; {_DELETE}")
        elif part not in whole:
            yield Finding(Kind.DAMAGED, path, f"its outcomes are lost: {mends}")
        elif outcomes is not None and not _agree(rows, outcomes):
            yield Finding(Kind.DAMAGED, path, "an accuracy is not that of its ranks: delete it, and run the same again")
    for table, part in paths:
        if table == "outcomes" and ("evaluations", part) not in paths:
            yield Finding(Kind.ORPHANED, paths[table, part], _DELETE)


def _agree(evaluations: pa.Table, outcomes: pa.Table) -> bool:
    """Check that every accuracy is that of its ranks."""
    ranks = {(row["evaluation"], row["head"]): row["ranks"] for row in outcomes.to_pandas().to_dict("records")}
    return all(
        (key := (row["evaluation"], row["head"])) in ranks
        and len(ranks[key]) == row["examples"]
        and bool(np.isclose(np.mean(ranks[key] == 0), row["accuracy"], rtol=0, atol=1e-6))
        for row in evaluations.select(["evaluation", "head", "examples", "accuracy"]).to_pylist()
    )
