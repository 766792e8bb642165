"""From studies to a plan: trials and evaluations, each once, marked with what the record holds. Pure; loads no torch.

Read ``plan`` first (the plan as a value), then ``expansion`` (studies to a plan), ``reading`` (columns to attacks) and
``settings`` (dotted fields to configurations).
"""
