"""The expansion of every study in every profile, without keys: a text of each part, and its digest."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from analysis.record.manifest import ManifestArm
from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES
from search_spaces.study import Study
from trainables.config import attack_key, measure_key

PROFILES = ("paper", "short", "demo")


def digest(text: str) -> str:
    """Compute 16 hex digits from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def text(spec: Any, sources: dict[str, str]) -> str:
    """Write a specification as JSON, sorted by fields; sources are named by their content and not by their keys."""

    def named(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        return {name: sources.get(value, value) if name == "source" else named(value) for name, value in tree.items()}

    return json.dumps(named(json.loads(spec.model_dump_json())), sort_keys=True)


def expanded(study: Study, profile: str) -> dict[str, list[str]]:
    """Describe the expansion of a study in lines: its trials, attacks, measures and manifest."""
    made = plan([study], profile)
    (manifest,) = made.manifests
    configs = {trial.key: text(trial.config, {}) for trial in made.trials}
    sources = {key: digest(config) for key, config in configs.items()}
    attacks = {attack_key(e.attack): text(e.attack, sources) for t in made.trials for e in t.evaluations}
    measures = {measure_key(m.measure): text(m.measure, sources) for t in made.trials for m in t.measurements}
    names = {key: digest(content) for key, content in {**configs, **attacks, **measures}.items()} | {"": ""}

    def read_by(arm: ManifestArm, label: str) -> list[str]:
        if label in arm.training:
            return [""]
        if label in arm.measures:
            return [names[arm.measures[label]]]
        return sorted(names[read.attack] for read in arm.reads.get(label, ()))

    rows = [
        {
            "labels": arm.labels,
            "trials": {seed: names[key] for seed, key in arm.trials.items()},
            "reads": {c.label: read_by(arm, c.label) for c in manifest.columns if read_by(arm, c.label)},
            "pictures": {label: names[key] for label, key in arm.pictures.items()},
            "heads": arm.heads,
        }
        for arm in manifest.arms
    ]
    columns = [
        (c.label, c.adversarial, c.head, c.top_k, c.only, c.kind, c.array, c.times, c.statistic) for c in manifest.columns
    ]
    printed = [(n.labels, n.checkpoint, n.column, n.value, n.std, n.seed) for n in manifest.printed]
    return {
        "trials": [f"{configs[t.key]} {dict(t.arms)}" for t in made.trials],
        "attacks": [
            f"{names[t.key]} {e.checkpoint} {e.complete} {e.label} {text(e.attack, sources)}"
            for t in made.trials
            for e in t.evaluations
        ],
        "measures": [f"{names[t.key]} {m.checkpoint} {text(m.measure, sources)}" for t in made.trials for m in t.measurements],
        "manifest": [json.dumps(value) for value in (manifest.factors, columns, printed, manifest.selection, *rows)],
    }


def values() -> Iterator[tuple[str, dict[str, str]]]:
    """Compute for every study in every profile the number of lines of each part, and their digest."""
    for study in STUDIES.values():
        for profile in PROFILES:
            parts = expanded(study, profile)
            yield f"{study.name} ({profile})", {name: f"{len(t)} {digest(chr(10).join(t))}" for name, t in parts.items()}
