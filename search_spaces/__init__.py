"""What to ablate: factors, studies, and the numbers that the papers print. Pure data; of other packages, optuna.distributions.

Read ``factor``, ``column`` and ``study`` first, then ``profiles`` (where a study is run) and any folder of ``papers``.
``catalog`` finds a study by name, ``space`` is what a search samples from, ``printed`` reads ``reference/*.csv``.
"""
