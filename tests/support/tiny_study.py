"""A study that trains in a moment: three rows of a table on 64 handwritten digits."""

from collections.abc import Sequence

from orchestrator.execution.job import Job
from orchestrator.execution.work import Work
from orchestrator.planning.expansion import plan
from orchestrator.planning.plan import Plan
from orchestrator.record.store import Store
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL, pgd
from search_spaces.settings import Eps
from search_spaces.study import Profile, Study
from trainables.config import Runtime

EPOCHS = 3
RUNTIME = Runtime(device="cpu", threads=1, save_seconds=0)

SETTINGS = {
    "data.dataset": "digits",
    "data.examples": 64,
    "data.validation": 0.25,
    "data.crop": 1,
    "model.name": "resnet-10",
    "model.width": 4,
    **{f"attack.{field}": value for field, value in pgd(2, step=Eps(1 / 2)).items()},
    "training.epochs": EPOCHS,
    "training.batch_size": 16,
    "training.lr": 0.05,
    "training.schedule.milestones": (3,),
    **{f"selection.attack.{field}": value for field, value in pgd(1, step=Eps(1 / 2)).items()},
}

DEFENSE = choice(
    "defense",
    "defense",
    levels=(
        Level("Vanilla", {"module.name": "none"}),
        Level("CAS", {"module.name": "cas", "module.positions": ("P2", "P1")}),
        Level("CIFS", {"module.name": "cifs"}),
    ),
    default="CIFS",
)

STUDY = Study(
    name="tiny/table",
    aliases=("small",),
    reference="nowhere",
    title="A table that is made in a moment",
    factors=(DEFENSE,),
    columns=(NATURAL, Column("FGSM", {"name": "fgsm", "eps": Eps()}), Column("PGD", pgd(2, step=Eps(1 / 2)), beta_atk=None)),
    profiles={"demo": Profile("demo", eps=0.1, seeds=2, settings=SETTINGS, beta_atk=("0", "2", "inf-1"))},
)


def tiny_plan(seeds: int = 1, studies: Sequence[Study] = (STUDY,), **overrides: object) -> Plan:
    """Return the study's plan; ``overrides``: fields with two underscores for the dot (``training__lr=0.1``)."""
    return plan(studies, "demo", seeds=seeds, overrides={name.replace("__", "."): v for name, v in overrides.items()})


def jobs(made: Plan, store: Store) -> list[Job]:
    """Return the jobs of the plan."""
    return [Job.of(trial, store, RUNTIME) for trial in made.against(store.index(t.key for t in made.trials)).to_run]


def finish(job: Job) -> Work:
    """Run a job to its end."""
    work = Work(job)
    while not work.advance().done:
        pass
    return work
