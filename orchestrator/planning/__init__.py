"""From studies to trials, evaluations and measurements, each of them once. Pure: no file, no torch, no Ray.

Read ``plan`` (the result as a value) first, then ``expansion`` (which makes it), ``settings`` (dotted fields to a
configuration), ``reading`` (what a column needs of a trial), ``baseline`` (attacks transferred from a study's first row) and
``difference`` (why a trial is new).
"""
