"""A plan on a Ray cluster: scheduled, watched, retried, recorded.

Read ``sweep`` first, then ``sources`` (of jobs, which other drivers may have), ``driver`` (jobs through Ray Tune) and
``retries``, then ``job``, ``worker`` (the actor), ``work`` (what it does with one trial) and ``checkpoints``. ``cluster``,
``progress``, ``options`` and ``provenance`` (where numbers come from) serve them; ``upkeep`` is what is done for the storage,
also where no trial is left to run. ``external_checkpoint`` attacks weights that no trial trained, without Ray. The only folder
that imports Ray.
"""
