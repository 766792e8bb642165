"""An example of a package of plugins: see ``plugins``."""
