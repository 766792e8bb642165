"""How specifications come in from outside: ``parsing`` reads them from JSON, ``lazy`` has the rules for plugins.

``description`` and ``dotted`` say what can be set, from the classes and their ``docstrings``.

Stands on every other file of ``trainables.config``, and imports no torch.
"""
