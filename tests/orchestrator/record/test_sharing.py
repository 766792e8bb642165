"""Several drivers on one storage: which of them lives, and which has what."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.errors import DiskFull, Unavailable
from orchestrator.record.sharing import claims as claims_module
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.sharing.drivers import LIMIT, Driver, drivers, write_heartbeat
from orchestrator.record.store import Store


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "storage"))
    made.create()
    return made


@pytest.fixture
def at_once(monkeypatch):
    """Do not wait for other drivers to give up."""
    monkeypatch.setattr(claims_module, "_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(claims_module, "_TURN", 0.01)


def files(store):
    return sorted(info.base_name for folder in ("drivers", "claims") for info in store.entries(folder))


def test_of_two_drivers_one_has_a_claim_until_it_gives_it_up(store, at_once):
    with Claims.joined(store, "run") as first, Claims.joined(store, "search") as second:
        assert first.claim("a") is None
        assert first.claim("a") is None, "it has it already"
        assert second.claim("a") == first.driver
        assert second.claim("b") is None
        assert (first.taken(["a", "b", "c"]), second.taken(["a"])) == ({"b": second.driver}, {"a": first.driver})
        first.release("a", "b")
        assert second.claim("a") is None
        assert first.claim("a") == second.driver, "also for the driver that started first"
    assert files(store) == [], "nothing is left of drivers that have ended"


def test_a_driver_knows_the_others_and_who_they_are(store):
    with Claims.joined(store, "run") as first:
        assert first.others() == []
        with Claims.joined(store, "search") as second:
            assert first.others() == [second.driver]
            assert list(drivers(store)) == [first.driver.id, second.driver.id]
            assert str(second.driver).endswith(f"(advsweep search, process {os.getpid()})")
        assert first.others() == []


@pytest.mark.parametrize("alone", ["first", "second"])
def test_a_driver_that_must_be_alone_is_refused_and_refuses(store, alone):
    with Claims.joined(store, "rm" if alone == "first" else "run", alone=alone == "first") as first:
        with pytest.raises(Unavailable) as error, Claims.joined(store, "gc", alone=alone == "second"):
            pass
        assert str(error.value) == f"--storage {store.uri!r} is in use by {first.driver}; wait for it or stop it"
        assert list(drivers(store)) == [first.driver.id]
    with Claims.joined(store, "gc", alone=True):
        pass


KILLED = """
import sys, time
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
with Claims.joined(Store(sys.argv[1]), "run") as claims:
    claims.claim("a")
    print("claimed", flush=True)
    time.sleep(600)
"""


def test_a_killed_driver_of_this_machine_is_dead_at_once_and_what_it_left_is_deleted_later(store):
    process = subprocess.Popen([sys.executable, "-c", KILLED, store.uri], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "claimed\n"
    with Claims.joined(store, "run") as claims:
        (other,) = claims.others()
        assert other.pid == process.pid
        assert claims.claim("a") == other
        process.kill()
        process.wait()
        assert claims.others() == []
        assert claims.claim("a") is None
    assert [name for name in files(store) if not name.startswith((other.id, f"a.{other.id}"))] == []
    later = Driver(**asdict(other) | {"id": "9999999999999-0", "began": other.began + 2 * LIMIT})
    claims = Claims(store, later)
    claims._delete_dead()
    assert files(store) == [f"{later.id}.json"]


def elsewhere(store, id="0000000000001-a", **more):
    """Another machine's driver, with a heartbeat now."""
    driver = Driver(**asdict(Driver.here("run")) | {"id": id, "host": "node2", "machine": "another"} | more)
    write_heartbeat(store, driver)
    return driver


def silent(store, driver, seconds):
    then = time.time() - seconds
    os.utime(store.path("drivers", f"{driver.id}.json"), (then, then))


def test_a_driver_of_another_machine_is_dead_once_it_is_silent(store, at_once):
    other = elsewhere(store)
    store.write(f"claims/a.{other.id}", b"")
    with Claims.joined(store, "run") as claims:
        assert claims.claim("a") == other
        silent(store, other, LIMIT - 5)
        assert claims.claim("a") == other
        silent(store, other, LIMIT + 5)
        assert claims.others() == []
        assert claims.claim("a") is None


def test_a_driver_that_was_suspended_gives_up_everything_and_may_claim_it_again(store, at_once):
    """Another driver may have it now, or have had it and be done with it."""
    with Claims.joined(store, "run") as claims:
        assert [claims.claim(name) for name in "abc"] == [None] * 3
        other = elsewhere(store)
        store.write(f"claims/a.{other.id}", b"")
        claims._give_up()
        assert claims.lost == {"a", "b", "c"}
        assert files(store) == sorted(
            [f"a.{other.id}", f"{claims.driver.id}.json", f"{claims.driver.id}.lock", f"{other.id}.json"]
        )
        assert claims.claim("a") == other
        assert claims.claim("b") is None
        assert claims.lost == {"a", "c"}
        claims.release("a")
        store.delete(f"claims/a.{other.id}")
        assert claims.claim("a") is None


def test_heartbeats_go_on_and_after_a_silence_the_claims_are_examined(store, monkeypatch):
    monkeypatch.setattr(claims_module, "BEAT", 0.01)
    examined = threading.Event()
    failing = [OSError("no answer")]
    monkeypatch.setattr(
        Claims, "_give_up", lambda self: examined.set() if not failing else (_ for _ in ()).throw(failing.pop())
    )
    with Claims.joined(store, "run") as claims:
        silent(store, claims.driver, LIMIT - 1)
        path = store.path("drivers", f"{claims.driver.id}.json")
        before = os.stat(path).st_mtime
        deadline = time.monotonic() + 10
        while os.stat(path).st_mtime == before:
            assert time.monotonic() < deadline
        assert not examined.is_set()
        claims._beaten -= LIMIT + 1
        assert examined.wait(10)


def test_a_heartbeat_that_cannot_be_written_is_tried_again(store, monkeypatch):
    monkeypatch.setattr(claims_module, "BEAT", 0.01)
    tries, write = [], claims_module.write_heartbeat

    def full(*given):
        tries.append(given)
        if 1 < len(tries) < 5:
            raise DiskFull("no space left")
        write(*given)

    monkeypatch.setattr(claims_module, "write_heartbeat", full)
    with Claims.joined(store, "run") as claims:
        silent(store, claims.driver, LIMIT - 1)
        path = store.path("drivers", f"{claims.driver.id}.json")
        before, deadline = os.stat(path).st_mtime, time.monotonic() + 10
        while os.stat(path).st_mtime == before:
            assert time.monotonic() < deadline
    assert len(tries) >= 5


def test_a_heartbeat_that_is_not_readable_is_no_driver(store):
    real = asdict(Driver.here("run"))
    unlike = {**real, "id": "another"}, {**real, "id": "5-e", "pid": "x"}
    for name, data in (
        ("1-a", b"{"), ("2-b", b"[]"), ("3-c", json.dumps({"id": "3-c", "unknown": 1}).encode()),
        *zip(("4-d", "5-e"), (json.dumps(each).encode() for each in unlike), strict=True),
    ):  # fmt: skip
        store.write(f"drivers/{name}.json", data)
    os.makedirs(store.path("drivers", "6-f.json"))
    os.makedirs(store.path("claims", "a.7-g"))
    assert drivers(store) == {}
    with Claims.joined(store, "run") as claims:
        assert claims.claim("a") is None


def test_a_heartbeat_from_the_future_is_none(store):
    other = elsewhere(store)
    silent(store, other, -3600)
    assert drivers(store) == {}


def test_a_heartbeat_that_was_deleted_is_written_again(store, at_once):
    with Claims.joined(store, "run") as first, Claims.joined(store, "run") as second:
        assert first.claim("a") is None
        store.delete(f"drivers/{second.driver.id}.json")
        assert second.claim("a") == first.driver
        assert list(drivers(store)) == [first.driver.id, second.driver.id]


@pytest.mark.parametrize("name", ["drivers", "claims"])
def test_a_storage_that_cannot_be_shared_is_one_line(store, name):
    Path(store.path(name)).write_text("a file")
    with pytest.raises(Unavailable, match=r"^--storage [^\n]*$"), Claims.joined(store, "run"):
        pass


def test_requests_are_kept_until_they_are_taken(store):
    with Claims.joined(store, "run") as first, Claims.joined(store, "run") as second:
        assert not first.asked("views")
        second.ask("views")
        assert first.asked("views")
        first.take_request("views")
        first.take_request("views")
        assert not first.asked("views")


def test_turns_are_taken_one_after_the_other(store, at_once):
    inside, most = [], []

    def work():
        with Claims.joined(store, "run") as claims:
            for _ in range(3):
                with claims.turn("manifests"):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.01)
                    inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12


class Stepped:
    """Two drivers that claim the same, each in a thread, whose file operations happen in a given order."""

    def __init__(self, store, order):
        self.order = list(order)  # of 0 and 1: whose operation is next
        self.turn = threading.Condition()
        self.ended = set()
        self.store = store
        self.other = {}

    def operation(self, who, real):
        def run(*arguments, **named):
            with self.turn:
                assert self.turn.wait_for(lambda: self.may(who), 30)
                try:
                    return real(*arguments, **named)
                finally:
                    if self.order:
                        self.order.pop(0)
                    self.turn.notify_all()

        return run

    def may(self, who):
        """Whether it is a driver's turn: the order says so, or is at its end, or the other has ended."""
        return not self.order or self.order[0] == who or 1 - who in self.ended

    def claim(self, who, claims):
        own = Store(self.store.uri)
        for name in ("write", "entries", "delete"):
            setattr(own, name, self.operation(who, getattr(own, name)))
        claims._files = own
        self.other[who] = claims.claim("a")
        with self.turn:
            self.ended.add(who)
            self.turn.notify_all()


def test_in_every_order_of_their_operations_one_driver_at_most_has_a_claim(store, at_once, monkeypatch):
    both: list[Claims] = []
    monkeypatch.setattr(claims_module, "drivers", lambda files, now: {c.driver.id: c.driver for c in both})
    had = []
    for order in set(itertools.permutations([0] * 4 + [1] * 4)):
        both[:] = [Claims(store, Driver.here("run")) for _ in range(2)]
        both[1].driver = Driver(**asdict(both[1].driver) | {"id": both[0].driver.id + "z"})
        stepped = Stepped(store, order)
        threads = [threading.Thread(target=stepped.claim, args=(who, claims)) for who, claims in enumerate(both)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        has = [who for who in (0, 1) if stepped.other[who] is None]
        assert len(has) <= 1, order
        assert [info.base_name for info in store.entries("claims")] == [f"a.{both[who].driver.id}" for who in has]
        had.append(len(has))
        for claims in both:
            claims._files = store
            claims.release("a")
    assert len(had) == 70
    assert sum(had) > 50, "seldom do both give up"
