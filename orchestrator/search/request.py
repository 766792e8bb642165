"""The request for a search: its space, goals, sampler and budget, checked before a cluster is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from analysis.record.manifest import Manifest
from orchestrator.authoring.study_files import check_name, find_studies, taken_names
from orchestrator.errors import BadInput
from orchestrator.record.store import Store
from orchestrator.search.goals import Goal
from orchestrator.search.goals import goals as read_goals
from orchestrator.search.loop import Search
from orchestrator.search.options import PrunerName, SamplerName, SearchOptions
from orchestrator.search.results import SEARCH, as_study, define, manifest
from orchestrator.search.samplers import open_study
from orchestrator.search.space import SearchSpace
from orchestrator.tracking.optuna_storage import default_url, open_own, open_storage
from search_spaces.catalog import SPACES
from search_spaces.space import Space
from search_spaces.study import Study


@dataclass(frozen=True)
class SearchRequest:
    """A search before it starts.

    ``name``: name of the search, in the form of a study's. ``space``: the space to sample from. ``goals``: accuracies to
    maximise or to constrain. ``options``: sampler, pruner and how much to try. ``seeds``: how many the finalists have, None for
    the profile's number. ``overrides``: fields that are fixed in every configuration. ``retry_failed``: whether trials that
    failed before are run again. ``url``: URL or path of the storage of Optuna's study.
    """

    name: str
    space: SearchSpace
    goals: tuple[Goal, ...]
    options: SearchOptions
    seeds: int | None
    overrides: Mapping[str, Any]
    retry_failed: bool
    url: str

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self.space.profile.name

    @property
    def objectives(self) -> list[str]:
        """Labels of the accuracies to maximise."""
        return [goal.label for goal in self.goals if goal.bound is None]

    @property
    def samples(self) -> Study:
        """A study of a few configurations with all labels of the factors and all attacks, to check before the search."""
        return as_study(self.name, self.space, self.space.samples, self.goals, self.options.checkpoint)

    def begin(self, store: Store) -> Search:
        """Open Optuna's study and report to it what the record holds.

        Raises:
            BadInput: a study of that name belongs to another search.
        """
        epochs = self.space.config(self.space.samples[0]).training.epochs
        chosen = self.options
        storage = open_own(store)[0] if self.url == default_url(store) else open_storage(self.url)
        study = open_study(storage, self.name, self.objectives, chosen.sampler, chosen.pruner, epochs, chosen.sampler_seed)
        define(study, self.space, self.goals, chosen.checkpoint, self.overrides)
        numbers = (chosen.trials, chosen.sampler_seed)
        return Search(study, self.space, self.goals, chosen.checkpoint, store, *numbers, self.retry_failed)

    def manifest(self, search: Search) -> Manifest:
        """Describe the search for the storage, while it runs: the trials that it has sampled."""
        return manifest(search, self.profile, self.seeds, self.overrides)


def request(
    space: str,
    options: SearchOptions,
    *,
    profile: str,
    seeds: int | None,
    overrides: Mapping[str, Any],
    study_files: Sequence[Path],
    retry_failed: bool,
    optuna: str | None,
    store: Store,
) -> SearchRequest:
    """Check and build a request; the arguments are those of :func:`orchestrator.api.searches.search`.

    Raises:
        BadInput: a name, field or value is not allowed.
    """
    _check_options(options)
    goals = read_goals(options.objectives, options.constraints)
    if sum(goal.bound is None for goal in goals) > 1:
        _check_several(options.sampler, options.pruner)
    base = find_space(space, study_files)
    if profile not in base.profiles:
        raise BadInput(f"--profile {profile!r}: allowed for {base.name}: {', '.join(base.profiles)}")
    restricted = SearchSpace(base, base.profiles[profile], options.factors, overrides)
    if not restricted.config(restricted.samples[0]).data.validation:
        raise BadInput("data.validation = 0: must be > 0: a search compares configurations on held-out images")
    called = options.name or (f"{base.name}-search" if "/" in base.name else f"{base.name}/search")
    check_name(called)
    _check_free(called, store)
    url = optuna or default_url(store)
    if url is None:
        raise BadInput(f"--optuna: must be given with --storage {store.uri!r}, where no journal can be kept: a database's URL")
    return SearchRequest(called, restricted, goals, options, seeds, overrides, retry_failed, url)


def _check_options(options: SearchOptions) -> None:
    """Check what the command line has checked already, and Python has not."""
    for field, of in (("sampler", SamplerName), ("pruner", PrunerName), ("checkpoint", Literal["best", "last"])):
        if (value := getattr(options, field)) not in get_args(of):
            raise BadInput(f"{field} = {value!r}: allowed: {', '.join(map(repr, get_args(of)))}")
    for field, least in (("trials", 1), ("finalists", 0), ("sampler_seed", 0)):
        value = getattr(options, field)
        if not isinstance(value, int) or not least <= value < 2**32:
            raise BadInput(f"{field} = {value!r}: must be a whole number of {least} or more, and less than 2**32")
    for field in ("factors", "objectives", "constraints"):
        texts = getattr(options, field)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts or ()):
            raise BadInput(f"{field} = {texts!r}: must be a list of texts")
    if not options.objectives:
        raise BadInput(f"objectives = {options.objectives!r}: must name one or more")


def _check_free(name: str, store: Store) -> None:
    """Check that no study has the name of a search, whose table would take its place.

    Raises:
        BadInput: a study of the catalogue or of the storage has it.
    """
    taken = taken_names() | {m.study: "a study of this storage" for m in store.manifests() if m.reference != SEARCH}
    if name in taken:
        raise BadInput(f"--name {name!r}: the name is taken by {taken[name]}")


def find_space(name: str, files: Sequence[Path] = ()) -> Space:
    """Return a paper's space by its name, or the space of a study's factors.

    Raises:
        BadInput: no space or study has that name, or several studies match it.
    """
    if "/" not in name and name not in SPACES:
        raise BadInput(f"{name!r}: there is no such space; allowed: {', '.join(SPACES)}, or a study such as cifs/beta")
    found = find_studies([] if name in SPACES else [name], files)
    if name in SPACES:
        return SPACES[name]
    if len(found) > 1:
        raise BadInput(f"{name!r}: must be one study, and is {len(found)}: {', '.join(study.name for study in found)}")
    return Space.of(found[0])


def _check_several(sampler: str, pruner: str) -> None:
    """Raise an error for samplers and pruners that support one objective only."""
    if pruner != "none":
        raise BadInput(f"--pruner {pruner}: must be none with several objectives: pruners compare trials by one")
    if sampler == "cmaes":
        raise BadInput("--sampler cmaes: supports one objective only; allowed with several: tpe, gp, nsga2, random, qmc")
