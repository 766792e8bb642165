"""Several drivers on one storage: each trial is trained once, and the views have one writer at a time.

Read ``drivers`` (which processes work on a storage, and whether they live) first, then ``claims`` (which of them has what).
"""
