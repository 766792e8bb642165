"""From studies to scheduled, recorded and tracked trials. The only package that imports Ray and MLflow.

Read ``planning`` first (studies to trials), then ``execution`` (trials on a cluster) and ``record`` (what is kept of them);
``api`` is what the command line (``cli``) and :mod:`advsweep` call. Importing it does nothing;
:func:`orchestrator.environment.configure_environment` sets what Ray and MLflow read.
"""
