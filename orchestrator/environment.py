"""The environment variables that Ray and MLflow read when they are imported or started."""

import os

#: What a sweep's correctness rests on; a user's own value is replaced.
REQUIRED = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean what they meant to the user
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a sweep goes on from the record alone ...
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # ... so that Tune's own snapshots are never read
}

#: What is set unless the user has set it.
DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # `advsweep ui` shows runs; it needs no workers for language models
    # A tracking server that is down is caught up later: no minutes of retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def configure_environment() -> None:
    """Set the environment variables of this process for Ray and MLflow.

    Call it before either is imported: MLflow reads whether to send telemetry at that moment. Processes that Ray starts on this
    machine inherit what is set here; those of a cluster that was started by other means set it again (see
    :class:`orchestrator.execution.worker.Worker`).
    """
    os.environ.update(REQUIRED)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
