"""The environment variables that Ray and MLflow read when they are imported or started."""

import os

#: Variables that a sweep needs to be correct; a value that the user has set is replaced.
REQUIRED = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean what they meant to the user
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a sweep goes on from the record alone ...
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # ... so that Tune's own snapshots are never read
}

#: Variables that are set unless the user has set them.
DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # `advsweep ui` shows runs; it needs no workers for language models
    # While a tracking server is down the sweep goes on, and it is updated later: no retries that take minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def configure_environment() -> None:
    """Set the environment variables of this process for Ray and MLflow.

    Call it before either is imported: MLflow decides then whether to send telemetry. Processes that Ray starts on this machine
    inherit the variables; :class:`orchestrator.execution.worker.Worker` sets them again where another program started Ray.
    """
    os.environ.update(REQUIRED)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
