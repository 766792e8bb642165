"""From the record to tables: frames, statistics, the checklist, renderings. Reads the storage only; imports no torch, no ray.

Read ``schema`` first (the record's layout), then ``load`` and ``manifest`` (reading it), ``tables`` with ``cells`` and
``stats`` (the numbers), ``checks`` with ``evidence`` (whether they can be believed), and ``sheet`` with ``render`` (text).
"""
