"""The Ray cluster: started or joined, and checked before anything runs on it."""

import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import BadInput, Unavailable
from orchestrator.plugins.shipping import Bundle, bundle, load, unpack
from orchestrator.record.store import Store
from orchestrator.signals import interrupt_deferred, terminate_as_interrupt
from trainables.config import Runtime
from trainables.config.terms.registry import Entry

#: The longest wait for a cluster to answer.
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs of one trial (fractions are allowed), and how many trials run at once."""

    cpus: float
    gpus: float
    concurrent: int


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Join the Ray cluster at ``address`` (``auto`` or ``host:port``), or start one on this machine and stop it at the end.

    Raises:
        Unavailable: no cluster answers at the address.
        BadInput: the address is a ``ray://`` client's.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "address": "local"}
    else:
        _check_reachable(address)
        options["address"] = address
    try:
        with interrupt_deferred():
            _connect(address, options)
            terminate_as_interrupt()  # Ray has just set a handler that ends the process at once
        yield
    finally:
        with interrupt_deferred():
            ray.shutdown()


def _connect(address: str | None, options: dict[str, Any]) -> None:
    """Initialise Ray with these options, with errors that a user can fix."""
    try:
        ray.init(**options)
    except SystemExit:  # Ray raises it at SIGTERM while it starts
        raise KeyboardInterrupt from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        raise Unavailable(f"--address {address!r}: no Ray cluster there; start one with `ray start --head`") from error


def _check_reachable(address: str) -> None:
    """Raise an error at once where Ray itself would wait for minutes."""
    if address.startswith("ray://"):
        raise BadInput(f"--address {address!r}: ray:// clients are not supported; run on the cluster with auto or host:6379")
    host, _, port = address.rpartition(":")
    if address == "auto" or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise Unavailable(f"--address {address!r}: no Ray cluster answers there ({error.strerror or error})") from error


def resources(cpus: float | None, gpus: float | None, concurrent: int | None) -> Resources:
    """Return the resources of a trial on the running cluster; by default one CPU, and one GPU if a node has any.

    ``concurrent``: the most trials at once; None for as many as fit on the nodes.

    Raises:
        BadInput: no node of the cluster has that many CPUs or GPUs.
    """
    nodes = [node["Resources"] for node in _nodes()]
    most = {kind: max(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")}
    cpus = 1.0 if cpus is None else cpus
    gpus = (1.0 if most["GPU"] else 0.0) if gpus is None else gpus
    if not cpus and not gpus:
        raise BadInput("--cpus-per-trial 0: must be > 0 where a trial has no GPU")
    for option, asked, kind in (("--cpus-per-trial", cpus, "CPU"), ("--gpus-per-trial", gpus, "GPU")):
        if asked > most[kind]:
            raise BadInput(f"{option} {asked:g}: no node of the cluster has more than {most[kind]:g} {kind}s")
    fit = 0
    for node in nodes:
        by_cpu = node.get("CPU", 0.0) // cpus if cpus else float("inf")
        by_gpu = node.get("GPU", 0.0) // gpus if gpus else float("inf")
        fit += int(min(by_cpu, by_gpu, 1024))
    return Resources(cpus, gpus, max(1, min(fit, concurrent or fit)))


def prepare_nodes(datasets: list[str], runtime: Runtime, plugins: Collection[Entry] = ()) -> None:
    """Read the data sets and load the ``plugins`` on every node, so that no trial fails for what every trial needs.

    Raises:
        Unavailable: a node cannot get them; the message names it.
    """
    _on_every_node(_data_problem, datasets, runtime, bundle(plugins))


def check_storage(store: Store) -> None:
    """Check that every node shares the storage.

    Raises:
        Unavailable: a node does not see a file that this process wrote; the message names it.
    """
    with store.token() as token:
        _on_every_node(_storage_problem, store.uri, token)


def _on_every_node(examine: Callable[..., str], *arguments: Any) -> None:
    """Run a check on every node, and raise Unavailable for the first problem; ``examine`` returns its message, or "".

    On this node it runs in this process, which has imported torch already.
    """
    nodes, here = _nodes(), ray.get_runtime_context().get_node_id()
    for node in nodes:
        if node["NodeID"] == here:
            problem = examine(*arguments)
        else:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            problem = ray.get(ray.remote(num_cpus=0)(examine).options(scheduling_strategy=strategy).remote(*arguments))
        if problem:
            where = "" if len(nodes) == 1 else f" (node {node['NodeManagerAddress']})"
            raise Unavailable(f"{problem}{where}")


def living_nodes() -> frozenset[str]:
    """Return the ids of the nodes that are alive, as far as Ray knows: it notices after about 15 s that a node is gone."""
    return frozenset(node["NodeID"] for node in _nodes())


def _nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _data_problem(datasets: list[str], runtime: Runtime, shipped: Bundle) -> str:
    """Load plugins with their implementations, and read data sets, here; return why that fails, or ""."""
    from trainables.data import DataNotFound, fetch

    try:
        unpack(shipped)
        load(shipped)
        for name in datasets:
            fetch(name, runtime)
    except (BadInput, DataNotFound) as error:
        return str(error)
    return ""


def _storage_problem(storage: str, token: str) -> str:
    """Return why this node does not share the storage, or ""."""
    if Store(storage).sees(token):
        return ""
    return f"--storage {storage!r} is not shared by every node: use a shared folder or a URI such as s3://bucket/path"
