"""MLflow and Optuna as views of the record: made from it, updated at any time, and deciding nothing.

Read ``tracker`` (a thread for each view) first, then ``mlflow_view`` and ``optuna_view``. Imports ``record``.
"""
