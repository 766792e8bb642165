"""Plugins on their way to where trials run.

``shipping`` reads them from study files and installed packages, and sends them to the nodes; ``preflight`` runs each on one
batch of noise before a cluster is started. How they are written and registered is in :mod:`trainables.plugins`.
"""
