"""Attacks on training images: ``run`` starts any of them, ``batch`` is what each is given, every other file is one method.

Stands on ``methods`` and ``building_blocks``. A training's attack is a part of its trial; it may move a batch together, change
labels or depend on the epoch.
"""
