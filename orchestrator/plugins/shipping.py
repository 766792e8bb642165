"""Plugins: loaded from study files and installed packages, and shipped to the processes that run trials."""

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

#: The beginning of the names of modules that are made from files.
_PREFIX = "study_file_"


class File(NamedTuple):
    """A file of plugins as it is shipped.

    ``module``: the name of the module that it became. ``file``: its name. ``texts``: its text and those of the modules that it
    imports from its folder, by their paths in there.
    """

    module: str
    file: str
    texts: Mapping[str, str]


class Bundle(NamedTuple):
    """What a process ships to another: its plugin ``files``, and the ``fingerprints`` of plugins that the other must have."""

    files: tuple[File, ...] = ()
    fingerprints: tuple[tuple[str, str], ...] = ()


#: The files that registered plugins in this process, by the names of their modules.
_FILES: dict[str, File] = {}


def execute(file: Path, text: str, name: str | None = None) -> ModuleType:
    """Run a Python file with this text as a module, once in this process: a second call returns the same module.

    The file can import modules of its folder, like a script. If it raises an error, nothing that it registered stays.

    Args:
        file: its path; need not exist.
        text: its content.
        name: the module's name; None for one made from path and text.

    Raises:
        Exception: any error that the file raises.
    """
    name = name or _PREFIX + hashlib.sha256(f"{file.resolve()}\n{text}".encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file.resolve())
    restore = registry.restorable()
    sys.modules[name] = module  # pydantic and pickle find the module there
    try:
        with _importable(file.parent), redirect_stdout(sys.stderr):  # stdout is for tables and JSON
            exec(compile(text, str(file), "exec", dont_inherit=True), vars(module))
    except BaseException:
        del sys.modules[name]
        restore()
        reopen()
        raise
    others = local_imports(module)
    registering = {plugin.origin.module for plugin in registry.plugins() if plugin.origin}
    if registering & {name, *(other.__name__ for other in others)}:
        # Their texts now: the files may be edited before a worker needs them.
        _FILES[name] = File(name, file.name, {**_texts(file.resolve().parent, others), file.name: text})
    return module


def _texts(folder: Path, modules: Collection[ModuleType]) -> dict[str, str]:
    """Read the files of a folder's modules, by their paths in it; of packages every file: some may be imported later."""
    files = {Path(str(module.__file__)).resolve() for module in modules}
    packages = {folder / file.relative_to(folder).parts[0] for file in files if file.parent != folder}
    files |= {file for package in packages for file in package.rglob("*.py")}
    return {file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8") for file in files}


def registers(module: ModuleType) -> bool:
    """Check whether a file that was run, or a module that it imports from its folder, registered a plugin."""
    return module.__name__ in _FILES


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported meanwhile."""
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
        BadInput: a module cannot be imported; the message names its entry point and package.
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
    """Bundle the plugin files of this process, for another one that must have these plugins."""
    return Bundle(tuple(_FILES.values()), tuple(sorted((str(plugin), str(plugin.version)) for plugin in plugins)))


def unpack(shipped: Bundle) -> None:
    """Run the shipped plugin files that this process has not run, and check that it has every plugin.

    Raises:
        BadInput: a file cannot be run here, or an installed package is missing or another version.
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
            raise BadInput(f"{plugin} {what} on this node: its package must be installed in the same version on every node")


def load(shipped: Bundle) -> None:
    """Import the implementations of the plugins that a bundle needs, which this process has unpacked.

    Raises:
        BadInput: one cannot be imported here.
    """
    needed = {plugin for plugin, _ in shipped.fingerprints}
    for plugin in registry.plugins():
        if str(plugin) in needed:
            try:
                plugin.load()
            except Exception as error:
                raise BadInput(f"{plugin} cannot be loaded on this node: {type(error).__name__}: {error}") from error


def packed(plugins: Collection[registry.Entry], make: Any, *arguments: Any) -> tuple[Any, tuple[Bundle, bytes]]:
    """Return for ``__reduce__`` a call of ``make(*arguments)`` that loads ``plugins`` first, as another process may lack them.

    The arguments are pickled separately, because their classes can be found only after that.
    """
    return _unpacked, (bundle(plugins), pickle.dumps((make, arguments)))


def _unpacked(shipped: Bundle, data: bytes) -> Any:
    """Load the shipped plugins, then make the pickled object."""
    unpack(shipped)
    make, arguments = pickle.loads(data)
    return make(*arguments)
