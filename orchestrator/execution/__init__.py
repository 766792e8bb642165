"""Sweeps and searches on a Ray cluster.

Read ``sweep`` first, then ``job`` and ``work`` (one trial), ``worker`` and ``driver`` (Ray Tune), ``cluster``, ``progress``.
Imports ``search`` and what is below it.
"""
