"""The text syntax of attacks and measures."""

import pytest

from orchestrator.authoring.attack_text import attack, column, panel
from orchestrator.errors import BadInput
from orchestrator.planning.settings import configure_attack
from search_spaces.settings import Eps
from trainables.config import FGSM


def test_a_name_alone_has_the_profiles_eps():
    assert column("autoattack").attack == {"name": "autoattack", "eps": Eps()}
    assert column("autoattack").beta_atk is None


def test_fields_are_numbers_fractions_and_words():
    assert attack("pgd(iterations=100, restarts=5, start=zero, eps=8/255, step=.01)") == {
        "name": "pgd",
        "iterations": 100,
        "restarts": 5,
        "start": "zero",
        "eps": 8 / 255,
        "step": 0.01,
    }


def test_multiples_of_eps():
    assert attack("pgd(steps=7, eps=2*eps, step=eps/4)") == {"name": "pgd", "iterations": 7, "eps": Eps(2), "step": Eps(1 / 4)}
    assert attack("mim(steps=7, eps= 3 * eps / 2)") == {"name": "mim", "iterations": 7, "eps": Eps(1.5), "step": Eps(0.15)}
    assert attack("fgsm(eps=eps)") == {"name": "fgsm", "eps": Eps()}


def test_nothing_is_divided_by_zero():
    assert attack("fgsm(eps=8/0)")["eps"] == "8/0"
    assert attack("fgsm(eps=eps/0.0)")["eps"] == "eps/0.0"


def test_steps_are_iterations_and_a_step_is_a_tenth_of_eps():
    assert attack("pgd(steps=7)") == {"name": "pgd", "iterations": 7, "eps": Eps(), "step": Eps(1 / 10)}
    assert attack("pgd(steps=7, eps=0.5)")["step"] == 0.05


def test_steps_are_iterations_of_attacks_that_have_these_alone():
    with pytest.raises(BadInput, match=r"^attack fgsm: steps = 3: there is no such field; "):
        attack("fgsm(steps=3)")
    with pytest.raises(BadInput, match=r"^attack pgd: substeps = 3: there is no such field"):
        attack("pgd(substeps=3)")
    assert attack("as-training(attack=infofeature(steps=3))")["attack"] == attack("infofeature(iterations=3)")


def test_other_norms_have_no_default():
    assert "eps" not in attack("pgd(norm=l2, steps=7, step=0.1)")
    assert attack("natural") == {"name": "natural"}


def test_a_beta_atk_that_is_given_is_the_only_one():
    assert column("pgd(steps=3, beta_atk=inf-1)").beta_atk == ("inf-1",)
    assert column("pgd(steps=3, beta_atk=2)").beta_atk == ("2",)


@pytest.mark.parametrize("beta_atk", ["0", "0.5", "2", "inf", "inf-2", "own"])
def test_every_beta_atk_is_one_that_an_attack_has(beta_atk):
    fields = attack(f"fgsm(eps=0.1, beta_atk={beta_atk})")
    assert configure_attack(fields) == FGSM(eps=0.1, beta_atk=beta_atk)


def test_an_attack_in_an_attack():
    inner = {"name": "pgd", "iterations": 3, "eps": Eps(), "step": Eps(1 / 10)}
    made = attack("transfer(source='0123456789abcdef', attack=pgd(steps=3))")
    assert made == {"name": "transfer", "source": "0123456789abcdef", "attack": inner}


def test_the_label_is_the_text_without_needless_space():
    assert column("pgd( steps=3,\n  restarts=2 )").label == "pgd( steps=3, restarts=2 )"


@pytest.mark.parametrize(
    "text", ["", "PGD", "pgd(", "pgd(3)", "pgd(iterations)", "pgd(=3)", "pgd(steps=1, iterations=2)", "a b"]
)
def test_what_cannot_be_read_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match=r"--attack .*(pgd\(iterations=100, restarts=5\)|given twice)"):
        attack(text)


# --- measures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("dimensions", {}),
        ("dimensions( attack = natural )", {"attack": {"name": "natural"}}),
        ("t-sne(perplexity=5, attack=fgsm)", {"perplexity": 5, "attack": {"name": "fgsm", "eps": Eps()}}),
        (
            "perturbations(attack=fgsm(eps=8/255), reference=pgd(steps=7))",
            {
                "attack": {"name": "fgsm", "eps": 8 / 255},
                "reference": {"name": "pgd", "iterations": 7, "eps": Eps(), "step": Eps(0.1)},
            },
        ),
    ],
)
def test_a_measure_has_the_fields_of_its_text(text, fields):
    found = panel(text)
    assert found.label == " ".join(text.split())
    assert found.measure == {"name": text.partition("(")[0], **fields}


def test_a_measure_that_cannot_be_read_is_named():
    with pytest.raises(BadInput, match=r"^--measure 'dimensions\(pgd\)': 'pgd' must be FIELD=VALUE, as in sensitivity"):
        panel("dimensions(pgd)")
