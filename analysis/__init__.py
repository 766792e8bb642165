"""From the record to tables and figures. Reads the storage and nothing else; imports neither torch nor Ray.

Read ``schema`` (the record's layout) first, then ``load`` and ``manifest`` (what is read of it), ``cells`` (one number of one
trial), ``tables`` and ``figures`` (numbers, without formatting), and last ``sheet`` and ``render`` (a table as text).
``checks`` is the checklist of obfuscated gradients; ``stats`` and ``curves`` are arrays in, numbers out.
"""
