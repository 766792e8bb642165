"""MLflow and Optuna as views of the record: rebuilt from it at any time, never asked for a number.

Read ``tracker`` (a thread for each view while a sweep runs) first, then ``mlflow_view`` with ``mlflow_metrics``, and
``optuna_view`` with ``optuna_storage``; ``removal`` deletes from both what was deleted from the record.
"""
