"""How long a plan takes: passes and multiply-adds from configurations, throughput from the record or a calibration.

Read ``passes`` first, then ``network_size``, ``throughput``, ``calibration`` and ``estimate``. Imports ``planning`` and
``record``.
"""
