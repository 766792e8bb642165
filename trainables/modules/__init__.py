"""What can be inserted in a network, one module a file; ``inserted`` says what every one of them is. Read that first."""

from trainables.modules.inserted import InsertedModule, Insertion

__all__ = ["InsertedModule", "Insertion"]
