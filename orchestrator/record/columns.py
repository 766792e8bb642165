"""The columns of the record that describe an attack or a measure."""

import json
from typing import Any

from trainables.config import Attack, Measure, attack_key, attack_versions, measure_key


def attack_columns(attack: Attack) -> dict[str, Any]:
    """Return the columns of an evaluation that depend on its attack alone: key, name, fields, traits and numerics."""
    return {
        "attack": attack_key(attack),
        "attack_name": attack.name,
        "attack_spec": attack.model_dump_json(),
        "sees": attack.sees.value,
        "iterates": attack.iterates,
        "ensemble": attack.ensemble,
        "gradient_steps": attack.gradient_steps,
        "numerics": json.dumps(attack_versions(attack)),
        "beta_atk": "" if attack.aim is None else str(attack.aim),
    }


def measure_columns(measure: Measure) -> dict[str, Any]:
    """Return the columns of a measurement that depend on its measure alone: key, name and fields."""
    return {"measure": measure_key(measure), "measure_name": measure.name, "measure_spec": measure.model_dump_json()}
