"""The one writer of the storage; its layout and its reader are in :mod:`analysis.schema` and :mod:`analysis.load`.

Read ``report`` (what a worker reports of a trial) first, then ``store`` (parquet files, checkpoints and manifests) and
``recorded`` (what a plan asks of it). Imports no torch.
"""
