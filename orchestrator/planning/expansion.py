"""Expansion of studies into a plan: arms into configurations, columns into attacks and measures, each once. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, NamedTuple

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, ManifestNumber
from orchestrator.errors import BadInput
from orchestrator.planning.demand import SOURCE_SEED, Asked, Demand
from orchestrator.planning.plan import CHECKPOINTS, Plan
from orchestrator.planning.reading import Reader, by_last, manifest_column
from orchestrator.planning.selection import EVERYTHING, Selection, Shape
from orchestrator.planning.settings import configure, resolve, unknown_field
from search_spaces.column import Column
from search_spaces.factor import SEED
from search_spaces.settings import Settings, SourceSettings
from search_spaces.study import Arm, Panel, Profile, Study
from trainables.config import NoModule, TrialConfig, measure_key, older_keys


def plan(
    studies: Sequence[Study],
    profile: str,
    *,
    seeds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    added: Sequence[Column] = (),
    shown: bool = True,
    measures: Sequence[Panel] = (),
    checkpoints: Sequence[str] = CHECKPOINTS,
    train: bool = True,
    retry_failed: bool = False,
    selected: Selection = EVERYTHING,
) -> Plan:
    """Expand studies into trials and evaluations; a trial that several studies share is one.

    Args:
        studies: each in this ``profile``.
        profile: ``paper``, ``short`` or ``demo``.
        seeds: number of seeds; None for the profile's. A row whose settings have a seed has that alone.
        overrides: fields to set in every trial that has them.
        added: columns in addition to the studies' own.
        shown: whether added columns and measures appear in tables and figures.
        measures: measures in addition to the studies' own, of every arm that they apply to.
        checkpoints: those that added columns and measures are evaluated on.
        train, retry_failed: see :class:`~orchestrator.planning.plan.Plan`.
        selected: the rows and columns that are planned. The manifests describe the whole studies all the same, so that their
            tables show what is missing; a study without a selected row is left out.

    Raises:
        BadInput: a field or value is not allowed.
    """
    overrides = overrides or {}
    if SEED in overrides and seeds is not None:
        raise BadInput(f"--seeds {seeds!r}: must not be given with --set {SEED}, which is the only one")
    if seeds is not None and (not isinstance(seeds, int) or seeds < 1):
        raise BadInput(f"--seeds {seeds!r}: must be a whole number of 1 or more")
    expanded = [_Expanded.of(study, profile, seeds, overrides) for study in studies]
    for name in overrides:
        if not any(name in row.held for study in expanded for row in study.rows):
            raise unknown_field(name, (row.configs[0] for study in expanded for row in study.rows))
    selected.check([study.shape for study in expanded])
    demand, more = Demand(), _More(tuple(added), shown, tuple(measures), tuple(checkpoints), EVERYTHING)
    parts = [study.selected(selected) for study in expanded]
    manifests = tuple(_manifest(study, demand, more) for study, part in zip(expanded, parts, strict=True) if part.rows)
    if selected != EVERYTHING:
        demand = Demand()
        for part in parts:
            if part.rows:
                _manifest(part, demand, more._replace(selected=selected))
    return Plan(manifests, demand.trials(), demand.requested, retry_failed, train, demand.evaluations_requested)


class _More(NamedTuple):
    """Columns and measures in addition to the studies' own, and which of all are selected; see :func:`plan`."""

    columns: tuple[Column, ...]
    shown: bool
    measures: tuple[Panel, ...]
    checkpoints: tuple[str, ...]
    selected: Selection


class _ArmConfigs(NamedTuple):
    """An arm, its configuration for each seed, and the overrides that hold in it."""

    arm: Arm
    configs: list[TrialConfig]
    held: frozenset[str]


class _Expanded(NamedTuple):
    """A study in a profile. ``profile``: its pins are resolved, and include the overrides. ``rows``: its arms, configured."""

    study: Study
    profile: Profile
    overrides: Mapping[str, Any]
    rows: list[_ArmConfigs]

    @classmethod
    def of(cls, study: Study, name: str, seeds: int | None, overrides: Mapping[str, Any]) -> "_Expanded":
        if name not in study.profiles:
            raise BadInput(f"--profile {name!r}: allowed for {study.name}: {', '.join(study.profiles)}")
        profile = study.profiles[name]
        profile = replace(profile, pins={**resolve(profile.pins, profile.eps), **overrides})
        made = cls(study, profile, overrides, [])
        for arm in study.arms(profile):
            config, held = made.configure(study.fixed, arm.settings)
            named = any(SEED in settings for settings in (profile.pins, study.fixed, arm.settings))
            of = [config.seed] if named else range(seeds or profile.seeds)
            configs = [config.model_copy(update={"seed": seed}) for seed in of]
            made.rows.append(_ArmConfigs(arm, configs, held & overrides.keys()))
        return made

    @property
    def shape(self) -> Shape:
        """What of the study can be selected."""
        factors = tuple(factor.name for factor in self.study.varied(self.profile))
        columns = (c.label for c in (*self.study.columns, *self.study.panels))
        return Shape(factors, tuple(row.arm.labels for row in self.rows), tuple(dict.fromkeys(columns)))

    def selected(self, of: Selection) -> "_Expanded":
        """Leave out the rows that are not selected."""
        return self._replace(rows=[row for row in self.rows if of.has_row(self.shape.factors, row.arm.labels)])

    def configure(self, *layers: Settings) -> tuple[TrialConfig, frozenset[str]]:
        """Configure a trial by the profile's settings and further ones over them; also names the pins that hold."""
        resolved = [resolve(layer, self.profile.eps) for layer in (self.profile.settings, *layers)]
        return configure(resolved, self.profile.pins)

    def source(self, source: SourceSettings, row: TrialConfig) -> TrialConfig:
        """Configure the network from which attacks on ``row`` are transferred."""
        config, _ = self.configure({"data.dataset": row.data.dataset}, source.settings)
        return config.model_copy(update={"seed": SOURCE_SEED})


class _Needs(NamedTuple):
    """What one study needs.

    ``sources``: labels of source networks, by key; ``used``: keys of those that selected attacks are transferred from.
    ``evaluations``: keys and checkpoints of the attacks on each trial. ``by_last``: labels of columns that count by the last
    iterate in any row.
    """

    sources: dict[str, str]
    used: set[str]
    evaluations: dict[str, Set[tuple[str, str]]]
    by_last: set[str]


def _manifest(expanded: _Expanded, demand: Demand, more: _More) -> Manifest:
    """Add everything that a study needs to ``demand``, and make its manifest."""
    study, profile = expanded.study, expanded.profile
    needs = _Needs({}, set(), {}, set())
    last = by_last(study, profile)
    columns = {column.label: manifest_column(column, last=column.label in last) for column in study.columns}
    columns |= {column.label: manifest_column(column, added=True) for column in more.columns if more.shown}
    arms = [_arm(row, expanded, demand, more, columns, needs) for row in expanded.rows]
    demand.requested += sum(len(row.configs) for row in expanded.rows) + len(needs.used & needs.sources.keys())
    demand.evaluations_requested += sum(map(len, needs.evaluations.values()))
    return Manifest(
        study=study.name,
        aliases=tuple(name.removeprefix(f"{study.paper}/") for name in study.names[1:]),
        reference=study.reference,
        title=study.title,
        profile=profile.name,
        variant=_variant(profile.name, expanded.overrides),
        overrides=dict(expanded.overrides),
        selection=expanded.rows[0].configs[0].selection.split,
        checkpoint=study.checkpoint,
        rows_by_beta=study.rows_by_beta,
        factors=tuple(factor.name for factor in study.varied(profile)),
        columns=tuple(
            replace(column, last=column.label in needs.by_last)
            for column in columns.values()
            if any(column.label in arm.columns for arm in arms)
        ),
        arms=tuple(arms),
        printed=tuple(ManifestNumber(*number) for number in study.printed()),
        cited=tuple(ManifestNumber(*number) for number in study.cited()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        by_epoch=study.by_epoch,
        beside=needs.sources,
        older=_older(demand, [key for arm in arms for key in arm.trials.values()]),
    )


def _arm(
    row: _ArmConfigs, expanded: _Expanded, demand: Demand, more: _More, columns: Mapping[str, ManifestColumn], needs: _Needs
) -> ManifestArm:
    """Add everything that a row needs to ``demand``, its sources and attacks also to ``needs``, and make the manifest's row."""
    study, profile = expanded.study, expanded.profile
    label = " ".join(row.arm.labels) or study.title
    trained = demand.train(row.configs, study, label)
    keys = {str(config.seed): key for config, key in zip(row.configs, trained, strict=True)}

    def source_key(source: SourceSettings) -> str:
        config = expanded.source(source, row.configs[0])
        (key,) = demand.train([config], study, _source_label(config))
        needs.sources[key] = _source_label(config)
        return key

    reader = Reader(row.configs[0], profile, source_key)
    own = reader.readings(study.columns_of(row.arm, profile))
    extra = reader.readings(more.columns)
    panels, added = (
        {p.label: measure for p in some if (measure := reader.measure(p.measure))}
        for some in (study.panels_of(row.arm, profile), more.measures)
    )
    asked, draws = Asked(), row.configs[0].module.draws
    for checkpoints, readings in ((CHECKPOINTS, own), (more.checkpoints, extra)):
        for column, reading in (pair for pair in readings if more.selected.has_column(pair[0].label)):
            # A random prediction has no iterates to count: the end point alone is judged, by several draws.
            asked.read(column, reading, checkpoints, last=not draws and column.label in columns and columns[column.label].last)
    for checkpoints, measures in ((CHECKPOINTS, panels), (more.checkpoints, added)):
        for label, checkpoint in product(filter(more.selected.has_column, measures), checkpoints):
            asked.measure(measures[label], checkpoint)
    # Of attacks that count no steps, such as AutoAttack, there is one way of counting.
    needs.by_last.update(
        column.label
        for column, reading in own
        if not draws and columns[column.label].last and any(a.gradient_steps is not None for a in reading.attacks.values())
    )
    needs.used.update(asked.sources)
    demand.ask(trained, asked)
    for key in trained:
        before = needs.evaluations.get(key)  # of another row that is the same training
        needs.evaluations[key] = before | asked.attacks.keys() if before else asked.attacks.keys()
    shown = [*own, *(extra if more.shown else [])]
    shown_panels = {**panels, **(added if more.shown else {})}
    return ManifestArm(
        row.arm.labels,
        keys,
        reads={column.label: tuple(reading.attacks) for column, reading in shown if reading.attacks},
        measures={column.label: measure_key(reading.measure) for column, reading in shown if reading.measure},
        training=tuple(column.label for column, reading in shown if reading.training),
        pictures={label: measure_key(measure) for label, measure in shown_panels.items()},
        heads={c.label: c.head for c, _ in shown if isinstance(c, Column) and c.head != columns[c.label].head},
        remarks=tuple(dict.fromkeys(a.remark for _, reading in shown for a in reading.attacks.values() if a.remark)),
    )


def _older(demand: Demand, trials: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Collect the keys that trials and their attacks had under older numerics, by present key; empty ones are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for key in trials:
        wanted = demand[key]
        found[key] = tuple(wanted.keys.older)
        attacks = {attack: spec for (attack, _), (spec, *_) in wanted.asked.attacks.items() if attack not in found}
        found |= {attack: tuple(older_keys(spec)) for attack, spec in attacks.items()}
    return {key: keys for key, keys in found.items() if keys}


def _source_label(config: TrialConfig) -> str:
    """Describe a network that attacks come from; the description is the same in every study."""
    module = "" if isinstance(config.module, NoModule) else f", {config.module.name}"
    return f"source of attacks ({config.model.name}{module}, {config.objective.name}, {config.data.dataset})"


def _variant(profile: str, overrides: Mapping[str, Any]) -> str:
    """Make the name of a file from profile and overrides, with a hash where characters must be replaced or cut."""
    text = "@".join([profile, *(f"{name}={value}" for name, value in sorted(overrides.items()))])
    name = re.sub(r"[^a-zA-Z0-9@=.,_-]", "_", text)[:150]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
