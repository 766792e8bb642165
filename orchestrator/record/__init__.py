"""The record of trials in the storage, written and read for the orchestrator; its layout is :mod:`analysis.schema`'s.

Read ``store`` first. Imports nothing else of the orchestrator but ``errors``.
"""
