"""Device-hours and room on the disk of a plan, before it runs.

Read ``passes`` (forward and backward passes of a training, an evaluation, a measurement) and ``network_size`` (multiply-adds of
a pass) first, then ``throughput`` (how fast a device is), ``recorded`` (the same by the record), ``calibration`` (by a few
batches trained here) and ``estimate`` (all of it together); ``room`` is the disk that a plan's checkpoints take. Stands on
``orchestrator.planning``; only ``calibration``, ``room``, and the size of a plugin's network, need torch.
"""
