"""An example of a package of plugins: ``corners``, an attack, and ``gate``, a module that names its implementation."""
