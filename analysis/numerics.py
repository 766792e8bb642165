"""Numbers that were recorded under other versions of what computes them: found where newer ones are missing, and named."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from analysis.load import Record
from analysis.manifest import Manifest, ManifestArm

#: By kind and name, such as ``attack 'pgd'``: a number, or of a plugin a fingerprint of its code.
Versions = Mapping[str, int | str]


def changed(recorded: str | None, present: Versions) -> tuple[str, ...]:
    """Which versions in ``recorded`` JSON differ from the ``present`` ones; what is not known at present does not count."""
    read: Mapping[str, Any] = json.loads(recorded) if isinstance(recorded, str) and recorded and present else {}
    versions: Versions = read.get("numerics", read)  # of a trial they stand among the versions of libraries
    return tuple(name for name, version in versions.items() if present.get(name, version) != version)


def trials(manifest: Manifest) -> frozenset[str]:
    """Keys of every trial that the study's table may show: its own, and those under older numerics."""
    return manifest.trials.union(*(manifest.older.get(key, ()) for key in manifest.trials))


def resolved(manifest: Manifest, record: Record) -> Manifest:
    """The manifest with older keys in place of those that the record does not hold, as far as it holds older ones."""
    if not manifest.older:
        return manifest
    there = {*record.trials["trial"]}
    attacks = {str(trial): {*rows} for trial, rows in record.evaluations.groupby("trial")["attack"]}
    return replace(manifest, arms=tuple(_arm(arm, manifest.older, there, attacks) for arm in manifest.arms))


def _arm(
    arm: ManifestArm, older: Mapping[str, tuple[str, ...]], there: Collection[str], attacks: Mapping[str, set[str]]
) -> ManifestArm:
    trials = {seed: _newest(key, older, there) for seed, key in arm.trials.items()}
    seen = set[str]().union(*(attacks.get(trial, set()) for trial in trials.values()))
    reads = {
        label: tuple(replace(read, attack=_newest(read.attack, older, seen)) for read in found)
        for label, found in arm.reads.items()
    }
    return replace(arm, trials=trials, reads=reads)


def _newest(key: str, older: Mapping[str, tuple[str, ...]], there: Collection[str]) -> str:
    """The key, or where it is not there the newest older one that is."""
    return next((known for known in (key, *older.get(key, ())) if known in there), key)
