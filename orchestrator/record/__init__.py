"""The one writer of the storage; its layout and its readers are in :mod:`analysis.record`.

Read ``report`` (what a worker reports of a trial) first, then ``store`` (trials, checkpoints and manifests),
``files`` (how a file is written at once, and a damaged one set aside), ``recorded`` (what a plan asks of a trial),
``compaction`` (few files for many) and ``doctor`` (the whole storage, verified). Imports no torch.
"""
