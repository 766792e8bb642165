"""The functions behind the commands: they take values, return values, and print nothing.

:mod:`advsweep` exports them; the command line parses options, calls them and prints. Their errors are those of
:mod:`orchestrator.errors`. Read ``plans`` (plan, estimate, run) first, then ``attacks`` (evaluate, check), ``searches``,
``tables`` (table, figure), ``records`` (load, load_model, status) and ``views`` (MLflow and Optuna). torch, Ray, MLflow and
pandas are loaded only when a function needs them.
"""
