"""User-defined studies, from Python or TOML files, in addition to the catalogue's."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.authoring import study_toml
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import check_fields
from orchestrator.plugins import shipping
from search_spaces.catalog import STUDIES, UnknownStudy, find
from search_spaces.settings import Settings
from search_spaces.study import Study
from trainables.config.terms.registry import BadPlugin

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


def load(files: Sequence[Path]) -> tuple[Study, ...]:
    """Read the studies of files, after all files have registered their plugins.

    Raises:
        BadInput: a file cannot be read or run, a study or a plugin is not allowed, or a name is taken.
    """
    shipping.load_installed()
    taken = taken_names()
    found: list[Study] = []
    texts = {file: _text(file) for file in files}
    for file in texts:
        if file.suffix == ".py":
            _run(file, texts[file])
    for file, text in texts.items():
        for study in _read(file, text):
            for name in study.names:
                if name in taken:
                    raise BadInput(f"{file}: study {study.name!r}: the name {name!r} is taken by {taken[name]}")
                taken[name] = f"{study.name!r} of {file}"
            found.append(study)
    return tuple(found)


def find_studies(patterns: Sequence[str], files: Sequence[Path] = ()) -> tuple[Study, ...]:
    """Find studies by name, alias or pattern, each once, in the catalogue and in ``files``.

    Raises:
        BadInput: a pattern matches no study; or as :func:`load`.
    """
    defined = load(files)
    try:
        return tuple({study.name: study for pattern in patterns for study in find(pattern, defined)}.values())
    except UnknownStudy as error:
        own = "" if files or error.explained else "; one of your own needs its file, by --study-file FILE"
        raise BadInput(f"{error}{own}") from error


def taken_names() -> dict[str, str]:
    """List the names and aliases of the catalogue's studies, each with a description of its study."""
    return {name: f"{study.name!r} of the catalogue" for study in STUDIES.values() for name in study.names}


def check_name(name: str) -> None:
    """Check the form of a study's name.

    Raises:
        BadInput: a study may not have this name.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"name = {name!r}: must be two words with a slash between them, such as mine/beta, of a-z, 0-9, dots, dashes and _"
        )


def _text(file: Path) -> str:
    if file.suffix not in {".py", ".toml"}:
        raise BadInput(f"--study-file {str(file)!r}: must be a .py or a .toml file")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise BadInput(f"--study-file {str(file)!r} cannot be read: {reason}") from error


def _read(file: Path, text: str) -> tuple[Study, ...]:
    """Read the studies of a file, and check each."""
    match file.suffix:
        case ".py":
            studies = _run(file, text)
        case ".toml":
            try:
                studies = (study_toml.read(text),)
            except BadInput as error:
                raise BadInput(f"{file}: {error}") from error
    for study in studies:
        try:
            _check(study)
        except BadInput as error:
            raise BadInput(f"{file}: study {study.name!r}: {error}") from error
        except Exception as error:
            # A Python file may put any object into a study's fields, and its errors appear only here.
            raise BadInput(f"{file}: study {study.name!r} makes no plan: {_line(error)}") from error
    return studies


def _run(file: Path, text: str) -> tuple[Study, ...]:
    """Run a Python file and return its ``STUDY`` or ``STUDIES``; a file that registers plugins may have neither."""
    try:
        module = shipping.execute(file, text)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{_place(file, error)}: {_line(error)}") from error
    made = vars(module)
    given = [name for name in ("STUDY", "STUDIES") if name in made]
    if not given and shipping.registers(module):
        return ()
    if len(given) != 1:
        has = "STUDY and STUDIES" if given else "neither, and registers nothing"
        raise BadInput(f"{file}: must have STUDY (a search_spaces.study.Study) or STUDIES (several); it has {has}")
    studies = (made["STUDY"],) if given == ["STUDY"] else made["STUDIES"]
    if not isinstance(studies, list | tuple) or not studies:
        raise BadInput(f"{file}: STUDIES must be a list or tuple of search_spaces.study.Study, and not empty")
    for study in studies:
        if not isinstance(study, Study):
            raise BadInput(f"{file}: {given[0]} must be of search_spaces.study.Study, and has a {type(study).__name__}")
    return tuple(studies)


def _place(file: Path, error: BaseException) -> str:
    """Describe where an error was raised: the file, and the line in it if known."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return str(file) if line is None else f"{file}, line {line}"


def _line(error: BaseException) -> str:
    """Write an error's type and message in one line; only the message for an error of a plugin."""
    if isinstance(error, BadPlugin):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return ": ".join([type(error).__name__, *([" ".join(text.split())] if text else [])])


def _check(study: Study) -> None:
    """Check that a study can be planned in each of its profiles, and that all fields that it sets exist.

    Raises:
        BadInput: it cannot, or a field does not exist.
    """
    for name in study.names:
        check_name(name)
    for place, settings in _settings(study):
        try:
            check_fields(settings)
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from error
    for baseline in study.baselines:
        if len(baseline.labels) != len(study.factors):
            factors = ", ".join(factor.name for factor in study.factors) or "none"
            raise BadInput(f"baselines: labels {list(baseline.labels)}: must be one for each factor ({factors})")
    if study.checkpoint not in ("best", "last", "both"):
        raise BadInput(f"checkpoint = {study.checkpoint!r}: allowed: best, last, both")
    if not study.profiles:
        raise BadInput("profiles: must have at least one of paper, short and demo")
    for profile in study.profiles:
        if profile not in ("paper", "short", "demo"):
            raise BadInput(f"profiles: {profile!r}: allowed: paper, short, demo")
        try:
            plan([study], profile, seeds=1)
        except BadInput as error:
            raise BadInput(f"profile {profile}: {error}") from error


def _settings(study: Study) -> Iterator[tuple[str, Settings]]:
    """List everything in a study that sets fields of trials, with a description of where it stands."""
    yield "fixed", study.fixed
    for factor in study.factors:
        for level in factor.levels:
            for settings in (level.settings, *level.conditional.values()):
                yield f"factor {factor.name}, level {level.label!r}", settings
    for baseline in study.baselines:
        yield f"baseline {' '.join(baseline.labels)}", baseline.settings
    for profile in study.profiles.values():
        yield f"profile {profile.name}", {**profile.settings, **profile.pins}
