"""What specifications are written in: ``spec`` (what each is), ``registry`` (its door into the product), ``aim``, ``passes``.

``fingerprint`` says what a plugin's code is. Read ``spec`` and ``registry`` first. Imports nothing else of this project.
"""
