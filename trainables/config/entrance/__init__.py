"""Specifications from outside this package: ``parsing`` reads them from JSON, ``lazy`` registers plugins and checks them.

May import every other module of ``trainables.config``; imports no torch.
"""
