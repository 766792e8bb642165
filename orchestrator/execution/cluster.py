"""The Ray cluster: started or joined, and looked at before anything runs on it."""

import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import BadInput, Unavailable
from orchestrator.execution.signals import interrupt_deferred, terminate_as_interrupt
from orchestrator.plugins.shipping import Bundle, bundle, unpack
from orchestrator.record.store import Store
from trainables.config import Runtime
from trainables.config.terms.registry import Entry

CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Resources:
    """What one trial takes (GPUs in fractions too), and how many run at once (None: as many as fit)."""

    cpus: float
    gpus: float
    concurrent: int


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A Ray cluster: the one at ``address`` (``auto`` or ``host:port``), or one of this machine's own.

    Raises:
        Unavailable: nothing answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "address": "local"}
    else:
        _reach(address)
        options["address"] = address
    try:
        with interrupt_deferred():
            _connect(address, options)
            terminate_as_interrupt()  # Ray has just put a handler there that ends the process at once
        yield
    finally:
        with interrupt_deferred():
            ray.shutdown()


def _connect(address: str | None, options: dict[str, Any]) -> None:
    try:
        ray.init(**options)
    except SystemExit:  # what Ray makes of SIGTERM while it starts
        raise KeyboardInterrupt from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        raise Unavailable(f"--address {address!r}: no Ray cluster there; start one with `ray start --head`") from error


def _reach(address: str) -> None:
    """Fail at once where Ray itself would wait for minutes."""
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
    """What a trial takes on the running cluster: one GPU where there are any, one CPU, unless told otherwise.

    Raises:
        BadInput: no node of the cluster has that much.
    """
    nodes = [node["Resources"] for node in _nodes()]
    most = {kind: max(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")}
    cpus = 1.0 if cpus is None else cpus
    gpus = (1.0 if most["GPU"] else 0.0) if gpus is None else gpus
    for option, asked, kind in (("--cpus-per-trial", cpus, "CPU"), ("--gpus-per-trial", gpus, "GPU")):
        if asked > most[kind]:
            raise BadInput(f"{option} {asked:g}: no node of the cluster has more than {most[kind]:g} {kind}s")
    fit = 0
    for node in nodes:
        by_cpu = node.get("CPU", 0.0) // cpus if cpus else float("inf")
        by_gpu = node.get("GPU", 0.0) // gpus if gpus else float("inf")
        fit += int(min(by_cpu, by_gpu, 1024))
    return Resources(cpus, gpus, max(1, min(fit, concurrent or fit)))


def find_data(datasets: list[str], runtime: Runtime, plugins: Collection[Entry] = ()) -> None:
    """See on every node that it has the data, or fetch them, and that it knows these ``plugins``.

    Raises:
        Unavailable: a node does not have them; the message names it.
    """
    _on_every_node(_missing_data, datasets, runtime, bundle(plugins))


def see_storage(store: Store) -> None:
    """See on every node that it reads what this process writes.

    Raises:
        Unavailable: a node does not; the message names it.
    """
    with store.token() as token:
        _on_every_node(_unseen_storage, store.uri, token)


def _on_every_node(examine: Callable[..., str], *arguments: Any) -> None:
    """Run a function that returns what is wrong on its node, or "". On this one it needs no process that imports torch anew."""
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
    """The ids of the cluster's nodes that Ray takes to be alive; of one that is gone it knows after some 15 s."""
    return frozenset(node["NodeID"] for node in _nodes())


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _missing_data(datasets: list[str], runtime: Runtime, shipped: Bundle) -> str:
    from trainables.data import DataNotFound, fetch

    try:
        unpack(shipped)
        for name in datasets:
            fetch(name, runtime)
    except (BadInput, DataNotFound) as error:
        return str(error)
    return ""


def _unseen_storage(storage: str, token: str) -> str:
    if Store(storage).sees(token):
        return ""
    return f"--storage {storage!r} is not shared by every node: use a shared folder or a URI such as s3://bucket/path"
