"""The results of every attack, training and measure on handwritten digits.

``figures`` are the same on every machine; ``exact`` digests are those of AVX2 and of the libraries in constraints.txt.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tests.support.contract_cases import batch, module_spec, network, spec
from trainables import config
from trainables.attacks import run_attack
from trainables.joint import attack_weights
from trainables.trial import Trial

MODULES = ("none", "cas", "cifs", "fsr", "kwta", "sap")
OBJECTIVES = ("standard", "at", "trades", "mart", "alp", "feature-matching", "l2-matching", "pcl", "afd")
TRAINING_ATTACKS = ("pgd", "fgsm-rs", "infofeature", "feature-scattering", "adversarial-interpolation", "apgd", "friendly")
ATTACKS: dict[str, dict[str, Any]] = {
    "natural": {},
    "noise": {"restarts": 3},
    "fgsm": {},
    "pgd": {"restarts": 2},
    "cw": {},
    "avg-pgd": {"samples": 2},
    "mim": {},
    "di-fgsm": {},
    "md": {"iterations": 6, "first": 3},
    "apgd": {"iterations": 6, "loss": "targeted-dlr", "targets": 2},
    "fab": {"iterations": 4, "targets": 2},
    "ddn": {"norm": "l2", "iterations": 5},
    "deepfool": {"iterations": 3},
    "cw-l2": {"iterations": 5, "searches": 2},
    "boundary": {"iterations": 20},
    "square": {"queries": 30},
    "nattack": {"queries": 60, "samples": 20},
    "autoattack": {"iterations": 4, "queries": 20, "targets": 2},
    "as-training": {"attack": config.InfoFeature(eps=0.1, step=0.03, iterations=3)},
}
MEASURES: dict[str, dict[str, Any]] = {
    "activations": {},
    "sensitivity": {"attack": config.PGD(eps=0.1, step=0.03, iterations=3)},
    "class-gradients": {},
    "dimensions": {},
    "perturbations": {
        "attack": config.MIM(eps=0.1, step=0.03, iterations=3),
        "reference": config.PGD(eps=0.1, step=0.03, iterations=3),
    },
    "t-sne": {"examples": 60, "perplexity": 5.0},
    "soundness": {},
}
DATA = config.Data(dataset="digits", validation=0.1, crop=1, flip=False, examples=200)
MODEL = config.Model(name="resnet-10", width=4, normalise=True)
RUNTIME = config.Runtime(device="cpu", threads=1)


def values() -> Iterator[tuple[str, dict[str, Any]]]:
    """Compute the results of every method by name: ``figures`` and ``exact``."""
    torch.set_num_threads(1)
    yield from _attacks()
    yield from _trainings()
    yield from _measures()


def exact_digest(tensors: list[Any]) -> str:
    """16 hex digits over the bytes of tensors and arrays."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(np.ascontiguousarray(tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor).tobytes())
    return found.hexdigest()[:16]


def _attacks() -> Iterator[tuple[str, dict[str, Any]]]:
    for module in MODULES:
        inserted = module_spec(module)
        ours, _ = network(inserted)
        ours.eval()
        x, y = batch(24)
        with torch.no_grad():
            ours.draw_from(torch.Generator().manual_seed(1))
            y = ours(x).logits.argmax(1)
        for name, settings in ATTACKS.items():
            for beta in ("own", "inf") if module in {"cas", "cifs"} else ("own",):
                for complete in (True, False):
                    attack = spec(config.Attack, name, **settings)
                    if hasattr(attack, "beta_atk"):
                        attack = attack.model_copy(update={"beta_atk": beta})
                    elif beta != "own":
                        continue
                    ours.draw_from(torch.Generator().manual_seed(2))
                    weights = attack_weights(config.Aim.parse(beta), inserted)
                    generator = torch.Generator().manual_seed(3)
                    found = run_attack(attack, ours, x, y, weights, generator, complete=complete)
                    ours.draw_from(torch.Generator().manual_seed(4))
                    with torch.no_grad():
                        wrong = int((ours(found.images).logits.argmax(1) != y).sum())
                    tensors = [t for t in (found.images, found.distance, found.broken) if t is not None]
                    figures = [wrong, round(float((found.images - x).abs().mean()), 3)]
                    yield f"attack {module} {name} {beta} {complete}", {"figures": figures, "exact": exact_digest(tensors)}


def _trial(**settings: Any) -> Trial:
    training = config.Training(epochs=2, batch_size=32, lr=0.05, schedule=config.MultiStep(milestones=(2,)))
    selection = config.Selection(attack=config.PGD(eps=0.1, step=0.05, iterations=3))
    defaults: dict[str, Any] = {
        "data": DATA,
        "model": MODEL,
        "attack": spec(config.TrainingAttack, "pgd"),
        "training": training,
        "selection": selection,
        "seed": 3,
    }
    return Trial(config.TrialConfig(**{**defaults, **settings}), RUNTIME)


def _trainings() -> Iterator[tuple[str, dict[str, Any]]]:
    cases: dict[str, dict[str, Any]] = {f"module {name}": {"module": module_spec(name, MODEL)} for name in MODULES}
    for name in OBJECTIVES:
        settings: dict[str, Any] = {"warmup": 1} if name == "pcl" else {"hidden": 16} if name == "afd" else {}
        cases[f"objective {name}"] = {"objective": spec(config.Objective, name, **settings)}
        if name == "standard":
            cases[f"objective {name}"]["attack"] = None
    for name in TRAINING_ATTACKS:
        cases[f"training attack {name}"] = {"attack": spec(config.TrainingAttack, name)}
        cases[f"training attack {name} of cas"] = {
            "attack": spec(config.TrainingAttack, name),
            "module": module_spec("cas", MODEL),
        }
    schedules: dict[str, dict[str, Any]] = {
        "cosine": {"schedule": config.Cosine()},
        "one-cycle": {"schedule": config.OneCycle()},
        "ema": {"averaging": config.EMA(decay=0.9)},
        "swa": {"averaging": config.SWA(start=1)},
        "bf16": {"precision": "bf16"},
    }
    for name, settings in schedules.items():
        cases[f"training {name}"] = {"training": config.Training(epochs=2, batch_size=32, lr=0.05, **settings)}
    for model in ("resnet-18", "resnet-50", "wrn-28", "vgg-16", "vgg-16-bn", "vgg-16-bn-all", "lenet"):
        cases[f"model {model}"] = {"model": config.Model(name=model, width=4)}
    for name, settings in cases.items():
        trial = _trial(**settings)
        epochs = [trial.step() for _ in range(2)]
        figures = [[round(e["train_loss"], 2), round(e["natural_accuracy"], 2), round(e["robust_accuracy"], 2)] for e in epochs]
        attack = config.CW(eps=0.1, step=0.03, iterations=4)
        found = trial.evaluate(attack, trial.weights())
        exact = exact_digest([*trial.weights().values(), found.ranks["final"], *[b for b in [found.broken] if b is not None]])
        yield f"training {name}", {"figures": figures, "exact": exact}


def _measures() -> Iterator[tuple[str, dict[str, Any]]]:
    trial = _trial(module=module_spec("cas", MODEL))
    trial.step()
    for name, settings in MEASURES.items():
        measure = spec(config.Measure, name, **settings)
        arrays = trial.measure(measure, trial.weights())
        figures = {key: list(np.shape(array)) for key, array in arrays.items()}
        yield f"measure {name}", {"figures": figures, "exact": exact_digest(list(arrays.values()))}
