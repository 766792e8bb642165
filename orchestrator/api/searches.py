"""Search a space for the configurations that are most robust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.record.files import BrokenRecordError
from orchestrator.api.observer import Observer
from orchestrator.api.plans import SweepResult, plan_studies, run_plan
from orchestrator.api.records import damaged, storage_errors
from orchestrator.api.terms import STORAGE, Files, ProfileName, as_paths
from orchestrator.environment import configure_environment
from orchestrator.errors import Interrupted, SweepIncomplete
from orchestrator.execution.options import Options
from orchestrator.record.store import Store

if TYPE_CHECKING:
    from orchestrator.search.loop import Search
    from orchestrator.search.options import SearchOptions
    from orchestrator.search.request import SearchRequest
    from orchestrator.search.results import Finding


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    ``request``: what it was asked for. ``search``: it, with Optuna's study. ``failures``: why configurations failed, by the
    trial's key; those that diverged or were stopped early are none. ``sweep``: the run of the finalists for all seeds on the
    test set, None where there was none.
    """

    request: "SearchRequest"
    search: "Search"
    failures: dict[str, str]
    sweep: SweepResult | None

    @property
    def findings(self) -> "list[Finding]":
        """Every configuration whose accuracies on the validation images are known, in percent, the best first."""
        from orchestrator.search.results import findings

        return findings(self.search)

    def raise_for_failures(self) -> None:
        """Raise an error if no configuration was found, a finalist is not finished, or a configuration failed.

        Raises:
            SweepIncomplete: the message says which.
        """
        if self.request.options.finalists and self.sweep is None:
            raise SweepIncomplete(self._nothing_found())
        if self.sweep is not None:
            self.sweep.raise_for_failures()
        if self.failures:
            first = next(iter(self.failures.values()))
            raise SweepIncomplete(
                f"{len(self.failures)} configurations failed ({first}); take them up again with --retry-failed"
            )

    def _nothing_found(self) -> str:
        from orchestrator.search.results import unfinished

        if self.findings:
            return "no configuration keeps to the constraints; lower them, or try more with --trials"
        reasons = list(unfinished(self.search).items())
        why = f" ({reasons[0][0]}: {reasons[0][1]})" if reasons else ""
        return f"no configuration has a value{why}; take failed ones up again with --retry-failed"


def search(
    space: str,
    search_options: "SearchOptions | None" = None,
    *,
    profile: ProfileName = "paper",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    storage: str = STORAGE,
    retry_failed: bool = False,
    options: Options | None = None,
    observer: Observer | None = None,
) -> SearchResult:
    """Search for the configurations that are most robust on held-out images, then train the best of them for all seeds.

    Nothing is trained twice: what the storage knows of the space is reported to the sampler first. To go on after any stop, or
    with more trials, call it again with the same arguments. The test set is used for the finalists alone.

    Args:
        space: a paper (``cas``, ``cifs``, ``infofeature``, ``afd``, ``fsr``), or a study: its factors.
        search_options: objectives, sampler and length of the search; None for the defaults.
        profile, seeds, settings, study_files, storage, retry_failed: as in :func:`~orchestrator.api.plans.plan`.
        options, observer: as in :func:`~orchestrator.api.plans.run`.

    Raises:
        BadInput, Unavailable: before any trial starts.
        Interrupted: stopped before the end; what is finished is kept.

    >>> import advsweep
    >>> small = {"data.examples": 64, "model.width": 4, "training.epochs": 2}
    >>> chosen = advsweep.SearchOptions(factors=["top_k"], trials=2, finalists=1)
    >>> found = advsweep.search("cifs", chosen, profile="demo", seeds=1, settings=small, storage="results")
    >>> found.failures, len(found.sweep.plan.trials)
    ({}, 1)
    >>> found.findings[0].values.keys()
    dict_keys(['PGD-20'])
    """
    from orchestrator.search.options import SearchOptions
    from orchestrator.search.request import request

    options = (options or Options()).resolved()
    with storage_errors(storage):
        asked = request(
            space,
            search_options or SearchOptions(),
            profile=profile,
            seeds=seeds,
            overrides=dict(settings or {}),
            study_files=as_paths(study_files),
            retry_failed=retry_failed,
            optuna=options.optuna,
            store=Store(storage),
        )
    return run_search(asked, storage, options, observer or Observer())


def run_search(asked: "SearchRequest", storage: str, options: Options, observer: Observer) -> SearchResult:
    """Run a search and then its finalists; see :func:`search`."""
    configure_environment()
    from orchestrator.search.loop import did_badly
    from orchestrator.search.results import chosen
    from orchestrator.search.results import finalists as as_study

    store = Store(storage, observer.damaged)
    if options.verify:
        store.verify(store.trials())
    # Every label of the factors, and the objectives' attacks: what is wrong with them is said before a cluster is started.
    samples = plan_studies([asked.samples], asked.profile, 1, asked.overrides, store)
    observer.searching(asked)
    try:
        from orchestrator.api.shown import shown_of
        from orchestrator.execution import sweep

        made, outcome = sweep.search(
            lambda: asked.begin(store), asked.name, asked.manifest, samples, store, options, shown_of(storage), observer.console
        )
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenRecordError as error:
        raise damaged(storage, error) from error
    observer.found(made)
    failures = {key: end.reason for key, end in outcome.failures.items() if not did_badly(end.ending)}
    done = None
    if best := chosen(made)[: asked.options.finalists]:
        study, retry = as_study(made, best), asked.retry_failed
        plan = plan_studies([study], asked.profile, asked.seeds, asked.overrides, store, retry_failed=retry)
        done = run_plan(plan, storage, options, observer)
    return SearchResult(asked, made, failures, done)
