"""Plugins: read from study files and installed packages here, and shipped to where trials run."""

import atexit
import hashlib
import pickle
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from orchestrator.errors import BadInput
from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry
from trainables.config.terms.fingerprint import local_imports

#: The entry point group of modules that register plugins.
GROUP = "advsweep.plugins"

#: Names of modules that were made of files begin so.
_PREFIX = "study_file_"


class File(NamedTuple):
    """A file of plugins as it is shipped: the ``module`` that it became, and ``texts`` by their paths beside ``file``."""

    module: str
    file: str
    texts: Mapping[str, str]


class Bundle(NamedTuple):
    """``files`` that a process has run, and the ``fingerprints`` of plugins that another one is to have."""

    files: tuple[File, ...] = ()
    fingerprints: tuple[tuple[str, str], ...] = ()


#: Of the files that were run in this process: those that registered plugins, by their modules.
_FILES: dict[str, File] = {}


def execute(file: Path, text: str, name: str | None = None) -> ModuleType:
    """Run a Python file with this text, once in this process: when it is asked for again, it is the same module.

    What lies beside it can be imported, as it can from a script. What it registered is forgotten if it breaks off.

    Raises:
        Exception: whatever the file raises.
    """
    name = name or _PREFIX + hashlib.sha256(f"{file.resolve()}\n{text}".encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file.resolve())
    restore = registry.restorable()
    sys.modules[name] = module  # where pydantic and pickle look
    try:
        with _importable(file.parent), redirect_stdout(sys.stderr):  # stdout is for tables and JSON
            exec(compile(text, str(file), "exec", dont_inherit=True), vars(module))
    except BaseException:
        del sys.modules[name]
        restore()
        reopen()
        raise
    beside = local_imports(module)
    if {plugin.origin.module for plugin in registry.plugins() if plugin.origin} & {name, *(other.__name__ for other in beside)}:
        # As they are now: they may be edited before a worker asks for them.
        _FILES[name] = File(name, file.name, {**_texts(file.resolve().parent, beside), file.name: text})
    return module


def _texts(folder: Path, modules: Collection[ModuleType]) -> dict[str, str]:
    """The files of modules in a folder, by their paths there; of packages all, for some may be imported later."""
    files = {Path(str(module.__file__)).resolve() for module in modules}
    packages = {folder / file.relative_to(folder).parts[0] for file in files if file.parent != folder}
    files |= {file for package in packages for file in package.rglob("*.py")}
    return {file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8") for file in files}


def registers(module: ModuleType) -> bool:
    """Whether a file that was run registered a plugin, or one beside it that it imports."""
    return module.__name__ in _FILES


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    before = sys.path[:]
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


@cache
def load_installed() -> None:
    """Import the modules of installed packages that register plugins.

    Raises:
        BadInput: one cannot be imported; the message names its entry point and package.
    """
    for point in entry_points(group=GROUP):
        restore = registry.restorable()
        try:
            with redirect_stdout(sys.stderr):
                point.load()
        except Exception as error:
            restore()
            reopen()
            package = f" of {point.dist.name}" if point.dist else ""
            raise BadInput(f"entry point {point.name} = {point.value}{package}: {type(error).__name__}: {error}") from error


def bundle(plugins: Collection[registry.Entry]) -> Bundle:
    """What this process knows, for another one that is to have these plugins."""
    return Bundle(tuple(_FILES.values()), tuple(sorted((str(plugin), str(plugin.version)) for plugin in plugins)))


def unpack(shipped: Bundle) -> None:
    """Register here what another process has; what is there already stays.

    Raises:
        BadInput: a file needs what is not here, or a package is not installed here as it is there.
    """
    load_installed()
    for file in shipped.files:
        if file.module not in sys.modules:
            folder = Path(tempfile.mkdtemp(prefix="advsweep-plugins-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            for path, text in file.texts.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
            try:
                execute(folder / file.file, file.texts[file.file], file.module)
            except Exception as error:
                raise BadInput(f"{file.file} cannot be run here: {type(error).__name__}: {error}") from error
    here = {str(plugin): str(plugin.version) for plugin in registry.plugins()}
    for plugin, fingerprint in shipped.fingerprints:
        if here.get(plugin) != fingerprint:
            what = "is other code" if plugin in here else "is not there"
            raise BadInput(f"{plugin} {what} on this node: the packages that it comes from must be the same on every one")


def packed(plugins: Collection[registry.Entry], make: Any, *arguments: Any) -> tuple[Any, tuple[Bundle, bytes]]:
    """For ``__reduce__``: ``make(*arguments)``, which have these ``plugins``, in another process that may not know them yet.

    The arguments are pickled on their own, because the classes of plugins can be found there only then.
    """
    return _unpacked, (bundle(plugins), pickle.dumps((make, arguments)))


def _unpacked(shipped: Bundle, data: bytes) -> Any:
    unpack(shipped)
    make, arguments = pickle.loads(data)
    return make(*arguments)
