"""From studies to scheduled, recorded and tracked trials. The only place that imports ray and mlflow.

Importing it does nothing; :func:`orchestrator.environment.configure_environment` sets what Ray and MLflow read.
"""
