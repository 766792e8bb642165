"""What specifications are written with: ``spec`` (their base), ``registry`` (how they are registered), ``aim`` and ``passes``.

``fingerprint`` identifies a plugin's code. Read ``spec`` and ``registry`` first. Imports nothing else of this project.
"""
