"""The functions behind the commands: they take values, return values, and print nothing.

:mod:`advsweep` exports them; the command line parses options, calls them and prints. Their errors are those of
:mod:`orchestrator.errors`. Read ``plans`` (plan, estimate, run) first, then ``attacks`` (evaluate, check), ``searches``,
``tables`` (table, figure), ``records`` (load, load_model, status), ``views`` (MLflow and Optuna), ``housekeeping`` (du, rm, gc)
and ``exports``. Nothing here loads torch, Ray, MLflow or pandas before a function needs it.

What most calls leave as it is, is a value: :class:`~orchestrator.execution.options.Options` and
:class:`~orchestrator.search.options.SearchOptions`. Profile, seeds, settings, study files and storage are keywords of each
function instead, though the same ones: nearly every call has some of them, and a notebook shows their defaults.
"""
