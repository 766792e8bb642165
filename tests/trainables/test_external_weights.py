"""Weights of external checkpoints: read without running code, and matched by name or by order and shape."""

import pytest
import torch
from safetensors.torch import save_file

from trainables import config
from trainables.checkpoint import fit_weights, read_weights
from trainables.models import build_model

RESNET = config.Model(name="resnet-18", width=4)


def ours(seed=0):
    return build_model(RESNET, config.NoModule(), config.DATASETS["cifar10"], seed)


def external():
    """Return the same weights under the names of the common code for CIFAR."""
    names = {}
    for name in ours().state_dict():
        other = name
        for stage in range(4):
            for block in range(2):
                other = other.replace(f"blocks.{2 * stage + block}.", f"layer{stage + 1}.{block}.")
        names[name] = other.replace("fc.", "linear.")
    return names


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_saved_state_dict_is_read(tmp_path, suffix, wrapped):
    weights = {f"module.{name}": tensor for name, tensor in ours().state_dict().items()}
    file = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, file)
    else:
        torch.save({"net": weights, "epoch": 3} if wrapped else weights, file)
    assert same(read_weights(file), ours().state_dict())


def test_other_names_are_matched_by_order_and_shape():
    theirs = {external()[name]: tensor for name, tensor in ours(seed=1).state_dict().items()}
    assert set(theirs) != set(ours().state_dict())
    assert same(fit_weights(theirs, ours().state_dict()), ours(seed=1).state_dict())


def test_counters_may_be_missing():
    theirs = {n: t for n, t in ours(seed=1).state_dict().items() if "num_batches" not in n}
    assert same(fit_weights(theirs, ours().state_dict()), ours(seed=1).state_dict())


def test_a_state_dict_that_does_not_fit_is_refused_with_the_first_difference():
    wanted = ours().state_dict()
    wide = build_model(config.Model(name="resnet-18", width=8), config.NoModule(), config.DATASETS["cifar10"], 0).state_dict()
    with pytest.raises(
        ValueError, match=r"conv1\.weight has the shape \(8, 3, 3, 3\), and the model's conv1\.weight \(4, 3, 3, 3\)"
    ):
        fit_weights(wide, wanted)
    with pytest.raises(ValueError, match=r"the file has 101 tensors, and the model 102"):
        fit_weights({n: t for n, t in wanted.items() if n != "fc.bias"}, wanted)


class Harmful:
    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize("content", [{"x": Harmful()}, {"epoch": 3}, [1, 2], {}])
def test_a_pickle_that_is_no_state_dict_is_refused_and_not_run(tmp_path, content, capsys):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(ValueError, match="no state dict"):
        read_weights(tmp_path / "file.pt")
    assert capsys.readouterr().out == ""


def test_a_file_that_is_damaged_or_missing_says_so(tmp_path):
    (tmp_path / "file.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="no state dict"):
        read_weights(tmp_path / "file.safetensors")
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / "none.pt")
