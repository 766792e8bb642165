"""The networks of other trials that attacks are transferred from."""

import json

import torch
from pydantic import ValidationError

from analysis.record.schema import Status
from orchestrator.planning.settings import explain
from orchestrator.record.store import Store
from trainables.attacks import SourceNetworks
from trainables.checkpoint import unpack_weights
from trainables.config import Attack, Transfer, TrialConfig
from trainables.trial import build_source


class SourceMissing(LookupError):
    """The source trial of a transferred attack is missing in the storage, or cannot be used; the message says why."""


def source_networks(attack: Attack, store: Store, dataset: str, device: torch.device) -> SourceNetworks:
    """Load the network that an attack is transferred from; empty for attacks on the network itself.

    Args:
        attack: an attack on a network that was trained on ``dataset``.
        store: the record, which holds the source trial.
        dataset: the data set's name.
        device: where the network is put.

    Raises:
        SourceMissing: it cannot be loaded.
    """
    if not isinstance(attack, Transfer):
        return {}
    row = store.read_trial(attack.source)
    if row is None:
        raise SourceMissing(f"attack.source = {attack.source}: there is no such trial in the storage")
    try:
        spec = TrialConfig.model_validate_json(row["config"])
    except ValidationError as error:
        reason = explain(error, json.loads(row["config"]))
        raise SourceMissing(
            f"attack.source = {attack.source}: that trial's {reason}; a plugin needs its --study-file"
        ) from error
    if row["status"] != Status.FINISHED and row["epochs"] < spec.training.epochs:
        # A network that is half trained, or has diverged, makes weak attacks.
        how_far = f"epoch {row['epochs']} of {spec.training.epochs}"
        why = ": ".join(filter(None, (how_far, row["reason"])))
        raise SourceMissing(f"attack.source = {attack.source}: that trial is {row['status']} ({why})")
    if spec.data.dataset != dataset:
        raise SourceMissing(f"attack.source = {attack.source}: that trial is on {spec.data.dataset}, not on {dataset}")
    epoch = row["best_epoch"] if attack.checkpoint == "best" else row["epochs"]
    try:
        weights = unpack_weights(store.read_weights(attack.source, epoch))
    except FileNotFoundError as error:
        where = f"the {attack.checkpoint} checkpoint of attack.source = {attack.source}"
        raise SourceMissing(f"{where}, epoch {epoch}, is not in the storage") from error
    return {(attack.source, attack.checkpoint): build_source(spec, weights, device)}
