"""From the record to tables and figures. Reads the storage and nothing else; imports neither torch nor Ray.

Read ``record`` (the record's layout, and the record as frames) first, then ``cells`` (one number of one trial), ``tables`` and
``figures`` (numbers, without formatting), and last ``sheet`` and ``render`` (a table as text).
``checks`` is the checklist of obfuscated gradients; ``stats`` and ``curves`` are arrays in, numbers out.
"""
