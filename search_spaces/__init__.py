"""What to ablate: factors, studies and the papers' printed numbers. Pure data; imports optuna.distributions only.

Read ``factor``, ``column`` and ``study`` first, then ``profiles`` (settings that the papers' studies share), ``papers`` (a
folder for each paper) and ``catalog`` (all studies by name).
"""
