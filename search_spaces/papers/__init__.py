"""The studies of each paper: a folder with its method and factors (``space``), its ``tables`` and its ``figures``.

Imports what search spaces share, and no other paper. Read ``paper`` first, then any folder's ``space``.
"""
