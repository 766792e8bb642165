"""A sweep on a running cluster of several nodes: a head that trains nothing, and two nodes of one CPU."""

import csv
import shutil
from collections.abc import Iterator
from itertools import product

import pytest
from ray._private.node import Node
from ray.cluster_utils import Cluster

from orchestrator.authoring.plugin_template import PLUGINS
from tests.support.command_line import (
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
    table,
    trials,
)

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def at_work(node: Node) -> bool:
    """Check whether an actor trains on this node."""
    raylet = node.all_processes["raylet"][0].process.pid
    return any(process.trains and process.parent == raylet for process in processes())


def test_resources_that_no_single_node_has_are_refused(cluster, tmp_path):
    done = advsweep("run", STUDY, *TINY, "--address", cluster.address, "--cpus-per-trial", "2", cwd=tmp_path)
    assert done.code == 2
    assert done.err == "advsweep: --cpus-per-trial 2: no node of the cluster has more than 1 CPUs\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_plugins_are_shipped_to_nodes_without_their_file(cluster, tmp_path):
    """The study file of a module and an attack, and the file that it imports, are deleted before the nodes begin."""
    folder, storage = tmp_path / "mine", tmp_path / "storage"
    folder.mkdir()
    text = PLUGINS.replace("from typing", "from near import HALF\nfrom typing", 1)
    text = text.replace("return own.Insertion(z *", "return own.Insertion(HALF * z *")
    (folder / "gate.py").write_text(text, encoding="utf-8")
    (folder / "near.py").write_text("HALF = 0.5\n", encoding="utf-8")
    arguments = sweep(storage, "--address", cluster.address, "--study-file", folder / "gate.py", study="mine/beta")
    with started(*arguments, folder=tmp_path) as command:
        command.until(lambda: any((storage / "studies").rglob("*.json")))
        shutil.rmtree(folder)
        command.until(lambda: all(at_work(node) for node in cluster.worker_nodes))
        done = command.wait()
    assert (done.code, done.err) == (0, "")
    assert "3 of 3 trials done" in done.out
    assert list(trials(storage).values()) == ["finished"] * 3
    rows = [row for row in csv.DictReader(table(storage, study="mine/beta").splitlines()) if row["statistic"] == "mean"]
    cells = {(row["defense"], row["column"]) for row in rows if row["checkpoint"] == "last" and row["value"]}
    assert cells == set(product(("Vanilla", "Gate", "Gate and Focal"), ("Natural", "PGD-20", "Corners")))
    attacked = {row["attack_name"] for every in evaluations(storage).values() for row in every}
    assert attacked == {"natural", "pgd", "corners"}


def test_a_sweep_uses_every_node_and_survives_the_loss_of_one(undisturbed, cluster, tmp_path):
    """Must be the last test of this file: the cluster has one node less after it."""
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
