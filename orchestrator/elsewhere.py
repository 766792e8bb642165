"""Weights that no trial here has trained, under any attack: in this process, without a cluster or a record."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.attack_text import column
from orchestrator.errors import BadInput, Unavailable
from orchestrator.settings import configure, configure_attack, parse, resolve
from search_spaces.study import BETA_ATK
from trainables.checkpoint import fit_weights, read_weights
from trainables.config import BLOCKS, Runtime, canonical_attack, heads
from trainables.data import DataNotFound
from trainables.trial import Trial


class Accuracy(NamedTuple):
    """``label``: the attack, and its beta_atk where it has several; ``accuracy``: percent of ``examples``."""

    label: str
    accuracy: float
    examples: int


class Elsewhere:
    """A file of weights in one of our networks.

    Args:
        checkpoint: see :func:`trainables.checkpoint.read_weights`.
        model: a name of ``config.Model``; hyphens may be left out.
        dataset: a name of ``config.Data``.
        settings: further fields of the configuration as ``FIELD=VALUE``.
        runtime: where and how the network runs, and where its data are.

    Raises:
        BadInput: the file holds no weights, or not this network's; a name or field is not allowed.
        Unavailable: the file or the data set is not there.
    """

    def __init__(self, checkpoint: Path, model: str, dataset: str, settings: Sequence[str], runtime: Runtime) -> None:
        names = {re.sub(r"\W", "", name): name for name in BLOCKS}
        name = names.get(re.sub(r"\W", "", model.lower()), model)
        width = {"model.width": 160} if name.startswith("wrn") else {}
        self.config, _ = configure([{"model.name": name, **width, "data.dataset": dataset}, parse(settings)], {})
        try:
            weights = read_weights(checkpoint)
        except OSError as error:
            raise Unavailable(f"--checkpoint {str(checkpoint)!r} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise BadInput(f"--checkpoint {error}") from error
        try:
            self._trial = Trial(self.config, runtime)
        except DataNotFound as error:
            raise Unavailable(str(error)) from error
        try:
            self._weights = fit_weights(weights, self._trial.weights())
        except ValueError as error:
            raise BadInput(f"--checkpoint {str(checkpoint)!r} does not fit --model {name}: {error}") from error

    @property
    def description(self) -> str:
        """What was made of the file, in one line."""
        model, module = self.config.model, self.config.module
        return f"{model.name} of width {model.width}, module {module.name}, on {self.config.data.dataset}'s test set"

    def accuracies(self, attacks: Sequence[str], eps: float) -> Iterator[Accuracy]:
        """Natural accuracy, and that under each attack, with each beta_atk where inserted modules predict.

        Raises:
            BadInput: an attack cannot be read, or a field of it is not allowed.
        """
        columns = [column(text) for text in dict.fromkeys(["natural", *attacks])]
        specs = []
        for wanted in columns:
            fields = resolve(wanted.attack, eps)
            attack = configure_attack(fields)
            betas = wanted.beta_atk or (BETA_ATK if len(heads(self.config.module)) > 1 else ("own",))
            aimed = [configure_attack({**fields, "beta_atk": b}) for b in betas] if hasattr(attack, "beta_atk") else [attack]
            known = [canonical_attack(each, self.config.module) for each in aimed]
            specs += [(wanted.label, each) for each in dict.fromkeys(k for k in known if k is not None)]
        for label, attack in specs:
            beta = getattr(attack, "beta_atk", "own")
            ranks = self._trial.evaluate(attack, self._weights).ranks["final"]
            shown = label if beta in {"own", "0"} else f"{label}, beta_atk {beta}"
            yield Accuracy(shown, 100 * float((ranks == 0).mean()), len(ranks))
