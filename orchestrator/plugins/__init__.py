"""Plugins of study files and installed packages: loaded, checked in a preflight, and shipped to the nodes of a cluster.

Read ``shipping`` first. Imports ``planning``.
"""
