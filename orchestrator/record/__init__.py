"""The one writer of the storage; its layout and its reader are in :mod:`analysis.schema` and :mod:`analysis.load`.

Read ``report`` (what a worker reports of a trial) first, then ``store`` (trials, checkpoints and manifests, with ``columns``),
``files`` (how a file is replaced at once) and ``recorded`` (what a plan asks of a trial). Imports no torch.
"""
