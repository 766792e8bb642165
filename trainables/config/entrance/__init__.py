"""How specifications come in from outside: ``parsing`` reads them from JSON, ``lazy`` has the rules for plugins.

Stands on every other file of ``trainables.config``, and imports no torch.
"""
