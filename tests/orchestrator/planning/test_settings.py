"""From dotted settings to a configuration, and every kind of bad input as one line."""

import pytest

from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import configure, configure_attack, parse, resolve
from search_spaces.catalog import STUDIES
from search_spaces.settings import Eps
from trainables.config import AT, CAS, CIFS, CW, FGSM, PGD, Cosine, MultiStep, Natural, NoModule, Softmax, Softplus, Standard

CIFS_ARM = {"module.name": "cifs", "module.positions": ("P2", "P1"), "module.beta": 3.0}


def configured(*layers, **pins):
    """The configuration alone; pins with two underscores for the dot."""
    return configure(layers, {name.replace("__", "."): value for name, value in pins.items()})[0]


# --- parse --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.lr=0.1", 0.1),
        ("training.epochs=3", 3),
        ("data.flip=false", False),
        ("attack=null", None),
        ('module.positions=["P2", "P1"]', ["P2", "P1"]),
        ("module.imgf.name=softmax", "softmax"),
        ('module.imgf.name="softmax"', "softmax"),
        ("training.lr=", ""),
        ("training.lr=1=2", "1=2"),
        (" training.lr = 0.1", 0.1),
    ],
)
def test_a_value_is_json_or_else_the_text_itself(text, value):
    parsed = parse([text])
    assert parsed == {text.partition("=")[0].strip(): value}
    assert type(next(iter(parsed.values()))) is type(value)


def test_several_assignments():
    assert parse(["a.b=1", "c=x"]) == {"a.b": 1, "c": "x"}
    assert parse([]) == {}


@pytest.mark.parametrize("text", ["training.lr", "=3", "  =3", ""])
def test_what_is_no_assignment(text):
    with pytest.raises(BadInput) as error:
        parse([text])
    assert str(error.value) == f"--set {text!r}: write FIELD=VALUE, as in --set training.lr=0.05"


@pytest.mark.parametrize("second", ["training.lr=0.2", "training.lr =0.2", " training.lr=0.2"])
def test_a_field_given_twice(second):
    with pytest.raises(BadInput, match=r"^--set training\.lr: given twice \(0\.1 and '0\.2'\)$"):
        parse(["training.lr=0.1", second])


# --- resolve and configure ----------------------------------------------------------------------------------------------


def test_multiples_of_eps_become_numbers():
    assert resolve({"attack.eps": Eps(), "attack.step": Eps(1 / 4), "attack.iterations": 3}, eps=0.2) == {
        "attack.eps": 0.2,
        "attack.step": 0.05,
        "attack.iterations": 3,
    }


def test_later_layers_hold_over_earlier_ones_and_pins_over_all():
    layers = [{"training.lr": 0.5, "training.momentum": 0.5, "training.epochs": 7}, {"training.lr": 0.25, "training.epochs": 8}]
    config, held = configure(layers, {"training.epochs": 9})
    assert (config.training.lr, config.training.momentum, config.training.epochs) == (0.25, 0.5, 9)
    assert held == {"training.epochs"}


def test_what_no_layer_sets_keeps_its_default():
    assert configured({"training.lr": 0.5}).training.model_dump(exclude={"lr"}) == configured().training.model_dump(
        exclude={"lr"}
    )


@pytest.mark.parametrize("turned", [False, True])
def test_a_variant_is_chosen_before_its_fields_are_set(turned):
    layer = {**CIFS_ARM, "module.imgf.name": "softplus", "module.imgf.alpha": 7.0}
    config = configured(dict(reversed(layer.items())) if turned else layer)
    assert config.module == CIFS(beta=3.0, imgf=Softplus(alpha=7.0)).resolved(
        ("block4.1", "block4.2"), config.model.positions()
    )
    assert config.module.positions == ("block4.1", "block4.2")


def test_choosing_another_variant_forgets_the_fields_of_the_one_before():
    assert configured(CIFS_ARM, {"module.name": "cas"}).module.beta == CAS().beta
    assert configured(CIFS_ARM, {"module.name": "none"}).module == NoModule()
    assert (
        configured({"training.schedule.milestones": (3,)}, {"training.schedule.name": "cosine"}).training.schedule == Cosine()
    )


def test_choosing_the_same_variant_again_keeps_its_fields():
    assert configured(CIFS_ARM, {"module.name": "cifs"}).module.beta == 3.0
    layers = {"training.schedule.milestones": (3,)}, {"training.schedule.name": "multistep"}
    assert configured(*layers).training.schedule == MultiStep(milestones=(3,))


def test_a_nested_variant_resets_only_its_part():
    module = configured({**CIFS_ARM, "module.imgf.name": "sigmoid"}, {"module.imgf.name": "softmax"}).module
    assert (module.beta, module.imgf) == (3.0, Softmax())


def test_standard_training_has_no_attack():
    config = configured({"attack.eps": 0.1}, {"objective.name": "standard", "attack": None})
    assert (config.objective, config.attack) == (Standard(), None)
    with pytest.raises(BadInput, match=r"^attack\.eps: there is no such field here$"):
        configured({"objective.name": "standard", "attack": None, "attack.eps": 0.1})


@pytest.mark.parametrize(
    ("layer", "pin"),
    [
        ({"module.name": "none"}, ("module.beta", 3.0)),
        ({"module.name": "none"}, ("module.imgf.name", "softplus")),
        ({"module.name": "cas"}, ("module.imgf.alpha", 3.0)),
        ({"module.name": "cifs", "module.imgf.name": "softmax"}, ("module.imgf.alpha", 3.0)),
        ({"objective.name": "standard", "attack": None}, ("attack.eps", 0.1)),
        ({"training.schedule.name": "cosine"}, ("training.schedule.milestones", (3,))),
        ({}, ("trainig.lr", 3.0)),
        ({}, ("training.lr.start", 3.0)),
        ({}, ("data.examples.train", 3)),
        ({}, (".lr", 3)),
        ({}, ("training..lr", 3)),
    ],
)
def test_a_pin_whose_field_is_not_there_does_nothing_and_does_not_count_as_held(layer, pin):
    config, held = configure([layer], {pin[0]: pin[1], "training.epochs": 3})
    assert config == configured(layer, training__epochs=3)
    assert held == {"training.epochs"}


def test_a_pin_that_chooses_a_variant_makes_the_other_ones_pins_idle():
    config, held = configure([{}], {"training.schedule.milestones": (3,), "training.schedule.name": "cosine"})
    assert config.training.schedule == Cosine()
    assert held == {"training.schedule.name"}


@pytest.mark.parametrize(
    ("settings", "attack"),
    [
        ({"name": "natural"}, Natural()),
        ({"name": "fgsm", "eps": 0.1, "beta_atk": "inf-1"}, FGSM(eps=0.1, beta_atk="inf-1")),
        ({"name": "pgd", "eps": 0.1, "step": 0.02, "iterations": 5}, PGD(eps=0.1, step=0.02, iterations=5)),
        ({"name": "cw", "eps": 0.1, "step": 0.02, "iterations": 5}, CW(eps=0.1, step=0.02, iterations=5, confidence=50.0)),
    ],
)
def test_attacks(settings, attack):
    assert configure_attack(settings) == attack


# --- bad input ----------------------------------------------------------------------------------------------------------

CAS_ARM = {"module.name": "cas", "module.positions": ("P1",)}
MODULES = "'none', 'cas', 'cifs'"


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        # a wrong type
        ("training.lr=fast", "training.lr = 'fast': must be a valid number"),
        ("training.lr=true", "training.lr = True: must be a valid number"),
        ("training.lr=null", "training.lr = None: must be a valid number"),
        ('training.lr="0.1"', "training.lr = '0.1': must be a valid number"),
        ("training.epochs=1.5", "training.epochs = 1.5: must be a valid integer"),
        ("training.epochs=[3]", "training.epochs = [3]: must be a valid integer"),
        ("data.flip=1", "data.flip = 1: must be a valid boolean"),
        ("training.schedule.milestones=3", "training.schedule.milestones = 3: must be a valid array"),
        ("training=3", "training = 3: must be an object"),
        ("module=cas", "module = 'cas': must be an object"),
        ("module={}", "module.name: must be set too"),
        # out of range
        ("training.lr=-1", "training.lr = -1: must be greater than 0"),
        ("training.lr=NaN", "training.lr = nan: must be a finite number"),
        ("training.lr=1e999", "training.lr = inf: must be a finite number"),
        ("training.epochs=0", "training.epochs = 0: must be greater than or equal to 1"),
        ("training.momentum=1", "training.momentum = 1: must be less than 1"),
        ("training.schedule.milestones=[3, 0]", "training.schedule.milestones.1 = 0: must be greater than or equal to 1"),
        ("attack.eps=8", "attack.eps = 8.0: must be at most 1 with norm=linf"),
        ("data.examples=3", "data.examples = 3: must be greater than or equal to 10"),
        # an unknown name
        ("module.name=caz", f"module.name = 'caz': allowed: {MODULES}"),
        ("module.name=null", f"module.name = 'None': allowed: {MODULES}"),
        ("module.imgf.name=relu", "module.imgf.name = 'relu': allowed: 'sigmoid', 'softplus', 'softmax'"),
        ("attack.name=cw", "attack.name = 'cw': allowed: 'pgd'"),
        (
            "selection.attack.name=bim",
            "selection.attack.name = 'bim': allowed: 'natural', 'noise', 'square', 'nattack', ",
        ),
        ("model.name=vgg", "model.name = 'vgg': allowed: 'resnet-10', 'resnet-18', "),
        ("data.dataset=cifar", "data.dataset = 'cifar': allowed: 'cifar10', 'cifar100', 'svhn', 'mnist', 'fashion-mnist', "),
        ('training={"lr": 1, "foo": 2}', "training.foo = 2: there is no such field"),
        ("attack.beta_atk=many", "attack.beta_atk = 'many': allowed: 'own' or '0'"),
        # a variant without the fields that have no default
        ("selection.attack.name=fgsm", "selection.attack.eps: must be set too"),
        ("module.imgf.T=2", "module.imgf.name: must be set too"),
        # positions and probes
        ('module.positions=["P9"]', "module.positions: 'P9' is none of resnet-18; allowed: block1, block2, block3, block4, "),
        ('module.positions=["block5"]', "module.positions: 'block5' is none of resnet-18; allowed: block1"),
        ('module.positions=["P0"]', "module.positions: 'P0' is none of resnet-18; allowed: block1"),
        ('module.positions=["P1", "P1"]', "module.positions = ['P1', 'P1']: must name at least one block, and each block once"),
        ('module.positions=["P1", "block4"]', "module.positions = ['P1', 'block4']: must name at least one block, and each"),
        ("module.positions=[]", "module.positions = []: must name at least one block, and each block once"),
        ('module.probes=["mlp", "mlp", "mlp"]', "module.probes has 3 entries for 2 positions; allowed: 1 or 2"),
        ('module.probes=["mlp", "deep"]', "module.probes.1 = 'deep': allowed: 'linear', 'mlp' or 'mlp-linear'"),
        ("module.depth=[1, 2, 3]", "module.depth has 3 entries for 2 positions; allowed: 1 or 2"),
        ("module.depth=[4]", "module.depth.0 = 4: must be less than or equal to 3"),
        ("module.layers=1", "module.layers = 1: allowed: 2 to 8, with positions=['P2', 'P1']"),
        ("module.layers=9", "module.layers = 9: allowed: 2 to 8, with positions=['P2', 'P1']"),
        # combinations
        ("module.top_k=11", "module.top_k = 11: must be less than or equal to 10, the classes of cifar10"),
        ("objective.name=standard", "attack must be null with objective.name=standard, which trains on natural examples"),
        ("attack=null", "attack must not be null with objective.name=at, which trains on adversarial examples"),
        ("data.validation=0", "data.validation = 0: must be > 0 with selection.split=validation; or set selection.split=test"),
        (
            'attack={"name":"pgd","eps":1,"step":1,"iterations":1,"start":"zero","restarts":2}',
            "attack.restarts = 2: there is no such field",
        ),
        (
            "selection.attack.beta_atk=inf-3",
            "selection.attack.beta_atk = 'inf-3': there is no such module; there are 2 with module.name=cifs",
        ),
    ],
)
def test_a_bad_value_is_one_line_naming_field_value_and_what_is_allowed(pin, message):
    layer = CIFS_ARM
    with pytest.raises(BadInput) as error:
        configure([layer], parse([pin]))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_module_that_is_not_there_cannot_be_attacked():
    with pytest.raises(BadInput, match=r"^selection\.attack\.beta_atk = 'inf': there is no such module; there are 0 with"):
        configured(selection__attack__beta_atk="inf")


def test_a_layer_that_sets_an_unknown_field_is_an_error():
    with pytest.raises(BadInput, match=r"^training\.learning_rate = 3: there is no such field$"):
        configured({"training.learning_rate": 3})
    with pytest.raises(BadInput, match=r"^training\.learning_rate = 3: there is no such field$"):
        configured({"training.learning_rate": 3}, module__beta=2.0)


def test_a_bad_evaluation_attack_names_itself():
    with pytest.raises(BadInput, match=r"^attack fgsm: eps = 3: must be less than or equal to 1$"):
        configure_attack({"name": "fgsm", "eps": 3})


def test_a_columns_attack_is_on_the_test_set():
    with pytest.raises(BadInput, match=r"^attack fgsm: split = validation: must be null, because tables show the test set$"):
        configure_attack({"name": "fgsm", "eps": 0.1, "split": "validation"})
    with pytest.raises(BadInput, match=r"^attack pgd: step: must be set too$"):
        configure_attack({"name": "pgd", "eps": 0.1, "iterations": 3})


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("trainig.lr", "did you mean 'training.lr'?"),
        ("training.rl", "did you mean 'training.lr'?"),
        ("module.bta", "did you mean 'module.beta'?"),
        ("module.imgf.t", "did you mean 'module.imgf.T'?"),
        ("lr", "did you mean 'training.lr'?"),
        ("training.eps", "did you mean 'attack.eps'?"),
        ("select.attack.eps", "did you mean 'selection.attack.eps'?"),
        (
            "training.zzzzzzzzz",
            "allowed: training.averaging, training.batch_size, training.epochs, training.lr, training.momentum",
        ),
        ("zzz.q", "allowed: attack.beta_atk, attack.bn, attack.eps,"),
    ],
)
def test_a_field_that_no_trial_has(field, hint):
    with pytest.raises(BadInput) as error:
        plan([STUDIES["cifs/table-1"]], "demo", overrides={field: 1})
    assert str(error.value).startswith(f"--set {field}: there is no such field in these trials; {hint}")
    assert "\n" not in str(error.value)


def test_a_field_that_some_trials_have_holds_in_those():
    made = plan([STUDIES["cifs/table-1"]], "demo", seeds=1, overrides={"module.imgf.T": 3.0, "module.beta": 5.0})
    assert [t.config.module.model_dump().get("beta") for t in made.trials] == [None, 5.0, 5.0]
    assert [t.config.module.imgf.T for t in made.trials if isinstance(t.config.module, CIFS)] == [3.0]
    assert all(isinstance(t.config.objective, AT) for t in made.trials)
