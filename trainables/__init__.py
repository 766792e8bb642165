"""How one trial is trained, attacked and measured.

Start with ``trial``, the only module that other packages train with; ``config`` says what a trial is. Imports torch; never ray,
mlflow, optuna or pandas.
"""
