"""Training attacks: ``run`` runs any of them, ``batch`` holds their input and output, every other file is one method.

May import ``methods`` and ``building_blocks``. A training attack is part of its trial; it may perturb a batch jointly, change
labels or depend on the epoch.
"""
