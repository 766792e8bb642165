import hashlib

import pytest
import torch

from trainables.rng import Generators, derive, generator


def draw(stream):
    return torch.rand(5, generator=stream)


def test_a_seed_is_63_bits_of_a_hash():
    digest = hashlib.sha256(b'[7, "order"]').hexdigest()
    assert derive(7, "order") == int(digest[:16], 16) // 2


def test_a_name_and_a_seed_are_a_stream():
    assert torch.equal(draw(generator(1, "attack")), draw(generator(1, "attack")))
    streams = [draw(generator(seed, name)) for seed in range(3) for name in ("init", "order", "attack", "evaluation/ab")]
    assert len({tuple(s.tolist()) for s in streams}) == 12


def test_streams_of_a_trial_are_independent_and_named():
    ours = Generators(3, "cpu")
    draw(ours["order"])
    assert torch.equal(draw(ours["attack"]), draw(generator(3, "attack")))
    assert torch.equal(draw(ours["augment"]), draw(generator(3, "augment")))


def test_a_saved_state_continues_bit_for_bit():
    one, other = Generators(0, "cpu"), Generators(1, "cpu")
    for name in ("order", "augment", "attack"):
        draw(one[name])
    states = one.state_dict()
    assert all(s.dtype == torch.uint8 and s.device.type == "cpu" for s in states.values())
    expected = [draw(one[name]) for name in states]
    other.load_state_dict(states)
    assert all(torch.equal(draw(other[name]), e) for name, e in zip(states, expected, strict=True))


def test_a_foreign_state_is_refused():
    ours = Generators(0, "cpu")
    with pytest.raises(ValueError, match="order"):
        ours.load_state_dict({})
    gpu = ours.state_dict() | {"attack": torch.zeros(16, dtype=torch.uint8)}  # the size of a CUDA generator's state
    with pytest.raises(ValueError, match="'attack' is not of a cpu device"):
        ours.load_state_dict(gpu)
