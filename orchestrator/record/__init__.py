"""The one writer of the storage; its layout and its readers are in :mod:`analysis.record`.

Read ``report`` (what a worker reports of a trial) first, then ``store`` (trials, checkpoints and manifests),
``files`` (how a file is written at once, and a damaged one set aside) and ``recorded`` (what a plan asks of a trial).
``sharing`` lets several drivers work on one storage. ``compaction`` makes many trials fast to read; ``doctor`` verifies the
whole storage; ``environments`` has texts that many trials share; ``spent`` (device time), ``inventory`` (files and sizes),
``removal`` and ``export`` are for housekeeping.
Imports no torch.
"""
