"""Specifications from outside this package: ``parsing`` reads them from JSON, ``lazy`` registers plugins and checks them.

``description`` and ``dotted`` say what can be set, from the classes and their ``docstrings``.

Stands on every other file of ``trainables.config``, and imports no torch.
"""
