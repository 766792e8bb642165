"""External checkpoints: attacks on weights that were trained by other means, in this process, without cluster or record."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.authoring.attack_text import column
from orchestrator.errors import BadInput, Unavailable
from orchestrator.planning.settings import configure, configure_attack, on_data, resolve
from search_spaces.column import BETA_ATK, Column
from trainables.checkpoint import fit_weights, read_weights
from trainables.config import Attack, Runtime, TrialConfig, canonical_attack, heads
from trainables.config.terms.registry import MODEL
from trainables.data import DataNotFound
from trainables.models.layout import UnsafeLayout
from trainables.trial import Trial


class Accuracy(NamedTuple):
    """The accuracy of a checkpoint under one attack.

    ``label``: the attack, and its beta_atk if there are several. ``accuracy``: in percent. ``examples``: their number.
    """

    label: str
    accuracy: float
    examples: int


class ExternalCheckpoint:
    """A file of weights, loaded into a network, and the attacks to run on it; the attacks are checked before the file is read.

    Args:
        checkpoint: a file as :func:`trainables.checkpoint.read_weights` reads it.
        model: name of the network, as in ``model.name``; hyphens may be left out.
        dataset: name of the data set, as in ``data.dataset``.
        columns: the attacks.
        eps: their eps where they set none, in [0, 1] like pixels.
        settings: further fields of the configuration, by dotted name.
        runtime: device, threads and folder of the data sets.

    Raises:
        BadInput: a name, field or attack is not allowed; the file holds no weights, or weights of another network.
        Unavailable: the file or the data set cannot be read.
    """

    def __init__(
        self,
        checkpoint: Path,
        model: str,
        dataset: str,
        columns: Sequence[Column],
        eps: float,
        settings: Mapping[str, Any],
        runtime: Runtime,
    ) -> None:
        names = {re.sub(r"\W", "", name): name for name in MODEL.entries}
        name = names.get(re.sub(r"\W", "", model.lower()), model)
        width = {"model.width": 160} if name.startswith("wrn") else {}
        self.config, _ = configure([{"model.name": name, **width, "data.dataset": dataset}, settings], {})
        if not 0 <= eps <= 1:
            raise BadInput(f"--eps {eps:g}: must be in [0, 1], where pixels are")
        wanted = {each.label: each for each in (column("natural"), *columns)}
        self._attacks = [pair for each in wanted.values() for pair in _aimed(each, eps, self.config)]
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
        except UnsafeLayout as error:
            raise BadInput(str(error)) from error
        try:
            self._weights = fit_weights(weights, self._trial.weights())
        except ValueError as error:
            raise BadInput(f"--checkpoint {str(checkpoint)!r} does not fit --model {name}: {error}") from error

    @property
    def description(self) -> str:
        """The network, module and data set, in one line."""
        model, module = self.config.model, self.config.module
        return f"{model.name} of width {model.width}, module {module.name}, on {self.config.data.dataset}'s test set"

    def accuracies(self) -> Iterator[Accuracy]:
        """Yield natural accuracy and the accuracy under each attack, for each beta_atk if inserted modules predict."""
        for label, attack in self._attacks:
            beta = getattr(attack, "beta_atk", "own")
            ranks = self._trial.evaluate(attack, self._weights).ranks["final"]
            shown = label if beta in {"own", "0"} else f"{label}, beta_atk {beta}"
            yield Accuracy(shown, 100 * float((ranks == 0).mean()), len(ranks))


def _aimed(wanted: Column, eps: float, config: TrialConfig) -> list[tuple[str, Attack]]:
    """Return a column's label with each of its attacks on a network of ``config``: one for each beta_atk, each once."""
    module = config.module
    if wanted.attack["name"] == "transfer":
        raise BadInput(
            f"--attack {wanted.label!r}: its images are made on a source trial, and with --checkpoint there is no storage to "
            "find one in; transfer to a study's trials (advsweep evaluate NAME), or give an attack on the weights themselves"
        )
    fields = resolve(wanted.attack, eps)
    attack = on_data(configure_attack(fields), config.data)
    betas = wanted.beta_atk or (BETA_ATK if len(heads(module)) > 1 else ("own",))
    aimed = [attack.model_copy(update={"beta_atk": b}) for b in betas] if hasattr(attack, "beta_atk") else [attack]
    known = [known for each in aimed if (known := canonical_attack(each, module)) is not None]
    if not known:
        raise BadInput(
            f"--attack {wanted.label!r}: beta_atk = {betas[0]}: the network has no such module (module.name = {module.name})"
        )
    return [(wanted.label, each) for each in dict.fromkeys(known)]
