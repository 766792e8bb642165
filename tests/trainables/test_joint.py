import pytest
import torch

from trainables.config import CAS, CIFS, FSR, KWTA, SAP, Aim, NoModule
from trainables.joint import attack_weights, joint, training_weights
from trainables.outputs import Outputs, heads

TWO = ("block4.1", "block4.2")


def test_training_weights_are_the_papers_equations():
    assert training_weights(NoModule()) == (1,)
    assert training_weights(CAS(positions=TWO, beta=3)) == (1, 1.5, 1.5)  # CAS eq. 5
    assert training_weights(CIFS(positions=TWO, beta=3, scale=1.0)) == pytest.approx((1 / 4, 3 / 8, 3 / 8))  # CIFS eq. 3
    assert training_weights(CIFS(positions=TWO, beta=2)) == pytest.approx((1, 1, 1))  # times 3: its public code
    assert training_weights(FSR(positions=TWO)) == (1, 0, 0)  # its other terms are its own
    assert training_weights(KWTA(positions=TWO)) == training_weights(SAP(positions=TWO)) == (1,)


@pytest.mark.parametrize("module", [CAS(positions=TWO, beta=3.0), CIFS(positions=TWO, beta=3.0), FSR(positions=TWO)])
@pytest.mark.parametrize(
    ("beta_atk", "expected"),
    [
        ("0", (1, 0, 0)),
        ("0.1", (1 / 1.1, 0.05 / 1.1, 0.05 / 1.1)),
        ("100", (1 / 101, 50 / 101, 50 / 101)),
        ("inf", (0, 0.5, 0.5)),
        ("inf-1", (0, 1, 0)),
        ("inf-2", (0, 0, 1)),
    ],
)
def test_attack_weights(module, beta_atk, expected):
    assert attack_weights(Aim.parse(beta_atk), module) == pytest.approx(expected)


EVERY = [NoModule(), CAS(positions=TWO, beta=3.0), CIFS(positions=TWO, beta=3.0), FSR(positions=TWO), KWTA(positions=TWO)]


@pytest.mark.parametrize("module", EVERY, ids=lambda m: m.name)
def test_own_equals_the_training_loss_and_the_modules_beta(module):
    own = attack_weights(Aim.parse("own"), module)
    assert own == training_weights(module)
    number = attack_weights(Aim(module.beta), module)
    assert [w * sum(number) / sum(own) for w in own] == pytest.approx(number)  # the same up to a positive factor


@pytest.mark.parametrize("module", [NoModule(), KWTA(positions=TWO), SAP(positions=TWO)], ids=lambda m: m.name)
def test_without_predicting_modules_only_the_final_prediction_counts(module):
    assert attack_weights(Aim(0.0), module) == attack_weights(Aim(7.0), module) == (1,)


@pytest.mark.parametrize(
    ("beta_atk", "module"),
    [("inf-3", CAS(positions=TWO)), ("inf", NoModule()), ("inf-1", NoModule()), ("inf", SAP(positions=TWO))],
)
def test_an_aim_at_a_missing_module_is_refused(beta_atk, module):
    with pytest.raises(ValueError, match=f"beta_atk={beta_atk} .* the network does not have: it has"):
        attack_weights(Aim.parse(beta_atk), module)


def outputs(generator, n):
    logits = [torch.randn(4, 3, generator=generator, requires_grad=True) for _ in range(n + 1)]
    return Outputs(logits[0], tuple(logits[1:]), torch.zeros(4, 2), torch.zeros(4, 2, 1, 1))


def test_joint_is_the_weighted_sum(generator):
    out = outputs(generator, 2)
    value = joint((0.5, 0.0, 2.0), lambda z: z.square().sum(1), out)
    expected = 0.5 * out.logits.square().sum(1) + 2 * out.aux[1].square().sum(1)
    torch.testing.assert_close(value, expected)
    assert heads(out) == (out.logits, *out.aux)


def test_a_head_of_weight_zero_is_left_out(generator):
    out = outputs(generator, 1)
    joint((1.0, 0.0), lambda z: z.log(), Outputs(out.logits, out.aux, out.features, out.maps)).sum().backward()
    assert out.aux[0].grad is None


def test_weights_must_fit_the_heads(generator):
    with pytest.raises(ValueError, match=r"over 2 heads .* \(1.0,\)"):
        joint((1.0,), torch.Tensor.sum, outputs(generator, 1))
    with pytest.raises(ValueError, match="over 2 heads"):
        joint((0.0, 0.0), torch.Tensor.sum, outputs(generator, 1))
