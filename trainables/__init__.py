"""How one trial learns and is attacked. Imports torch; never Ray, MLflow, Optuna or pandas.

Read ``config`` (what a trial is) first, then ``trial`` (the only door), ``outputs`` (what a network returns), and one each of
``modules``, ``objectives`` and ``attacks.methods``. ``plugins`` is what an author of a plugin imports.
"""
