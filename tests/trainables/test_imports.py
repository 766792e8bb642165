import subprocess
import sys


def test_slow_and_foreign_packages_are_not_loaded():
    """Slow packages would delay plans and demos, and training code must not import schedulers."""
    code = """
import sys
import trainables.attacks, trainables.data, trainables.joint, trainables.models, trainables.objectives
import trainables.measures, trainables.trial
foreign = {"torchvision", "sklearn", "threadpoolctl", "scipy", "ray", "mlflow", "optuna", "pandas"}
foreign = {"torchvision", "sklearn", "scipy", "ray", "mlflow", "optuna", "pandas"}
foreign |= {"foolbox", "eagerpy", "pyautoattack", "numba"}
print(sorted(foreign & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
