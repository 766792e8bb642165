"""Searches: which configurations are tried next, and what was found.

Read ``request`` first, then ``space`` and ``goals``, ``loop`` (sampling and reporting) and ``results``.
Imports ``authoring``, ``tracking`` and what is below them.
"""
