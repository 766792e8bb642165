"""A sweep on a running cluster of several nodes: a head that trains nothing, and two nodes of one CPU."""

from collections.abc import Iterator

import pytest
from command import (
    STUDY,
    TINY,
    advsweep,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    numbers,
    processes,
    runs,
    started,
    sweep,
    trials,
)
from ray._private.node import Node
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def at_work(node: Node) -> bool:
    """Whether an actor trains on this node."""
    raylet = node.all_processes["raylet"][0].process.pid
    return any(process.trains and process.parent == raylet for process in processes())


def test_what_no_single_node_has_is_refused(cluster, tmp_path):
    done = advsweep("run", STUDY, *TINY, "--address", cluster.address, "--cpus-per-trial", "2", cwd=tmp_path)
    assert done.code == 2
    assert done.err == "advsweep: --cpus-per-trial 2: no node of the cluster has more than 1 CPUs\n"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_uses_every_node_and_survives_the_loss_of_one(undisturbed, cluster, tmp_path):
    """The last test of this file: the cluster has a node less after it."""
    storage = tmp_path / "storage"
    with started(*sweep(storage, "--address", cluster.address), folder=tmp_path) as command:
        command.until(
            lambda: all(at_work(node) for node in cluster.worker_nodes) and sum(map(len, epochs(storage).values())) > 2
        )
        trained = epochs(storage), evaluations(storage)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        done = command.wait()
    assert (done.code, done.err) == (0, "")
    assert "4 of 4 trials done" in done.out
    assert_kept(trained[0], epochs(storage))
    assert_kept(trained[1], evaluations(storage))
    assert_once(evaluations(storage))
    assert numbers(storage) == numbers(undisturbed[0])
    assert runs(storage) == [(key, "FINISHED") for key in trials(undisturbed[0])]
