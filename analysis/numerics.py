"""Results recorded under older numerics: named, and shown where there are no newer ones."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from analysis.record.columns import codes, texts
from analysis.record.load import Record
from analysis.record.manifest import Manifest, ManifestArm

#: Versions by kind and name, such as ``attack 'pgd'``: a built-in's numerics, or a plugin's fingerprint.
Versions = Mapping[str, int | str]


def changed(recorded: str | None, present: Versions) -> tuple[str, ...]:
    """Name the versions in ``recorded`` (JSON) that differ from the ``present`` ones; what is not registered is left out."""
    read: Mapping[str, Any] = json.loads(recorded) if isinstance(recorded, str) and recorded and present else {}
    versions: Versions = read.get("numerics", read)  # a trial's JSON also has the versions of libraries
    return tuple(name for name, version in versions.items() if present.get(name, version) != version)


def trials(manifest: Manifest) -> frozenset[str]:
    """Collect the keys of every trial that a study's table may show, those under older numerics included."""
    return manifest.trials.union(*(manifest.older.get(key, ()) for key in manifest.trials))


def resolved(manifest: Manifest, record: Record) -> Manifest:
    """Replace keys of a manifest that the record does not hold by their keys under older numerics that it does hold."""
    if not manifest.older:
        return manifest
    evaluations = record.tables["evaluations"]
    there = {key for key in codes(record.tables["trial"], "trial").texts if key}
    attacks: defaultdict[str, set[str]] = defaultdict(set)
    for trial, attack in zip(texts(evaluations, "trial"), texts(evaluations, "attack"), strict=True):
        attacks[trial].add(attack)
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
    """Return the key if the record holds it, or else the newest older one that it holds, or else the key."""
    return next((known for known in (key, *older.get(key, ())) if known in there), key)
