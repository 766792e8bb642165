"""Attacks of evaluations, one method a file: the algorithm, and below it ``attack``, which runs it as a specification says.

Stands on ``building_blocks`` and on ``trainables.attacks.case``. Read ``pgd`` first.
"""
