"""How one trial learns and is attacked. Imports torch; never ray, mlflow, optuna or pandas."""
