"""The record as its readers see it: its layout, and a storage as data frames. Reads the storage and nothing else.

Read ``schema`` (the layout) first, then ``names`` (what the name of a file says), ``files`` (reading and verifying one),
``rows`` (tables of many trials), ``load`` (the record as frames, with ``fields``: JSON that is parsed once, and ``outcomes``:
what attacks did to single examples), and ``manifest`` (the studies). Its writer is ``orchestrator.record``.
"""
