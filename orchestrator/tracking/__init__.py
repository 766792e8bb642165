"""MLflow and Optuna as views of the record: rebuilt from it at any time, never asked for a number.

Read ``tracker`` (a thread for each view while a sweep runs) first, then ``mlflow_view`` with ``trial_rows`` (what the record
holds), ``mlflow_metrics``, ``mlflow_runs``, ``mlflow_tables`` and ``mlflow_database``, then ``optuna_view`` with
``optuna_study`` and ``optuna_storage``. ``removal`` deletes from both what was deleted from the record; ``set_aside``: what
happens to damaged files.
"""
