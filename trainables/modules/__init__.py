"""Modules to insert in a network, one method a file. Read ``inserted``, their base class, first."""

from trainables.modules.inserted import InsertedModule, Insertion

__all__ = ["InsertedModule", "Insertion"]
