"""From studies to scheduled, recorded and tracked trials. The only place that imports ray and mlflow.

Both read their settings from the environment when they are first imported, so they are made here; what a user has set
stays, but for what the sweep's correctness rests on.
"""

import os

os.environ |= {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean what they meant to the user
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the record is what a sweep goes on from, and it is ours ...
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),  # ... so that Tune's own snapshots are never read
}
for _name, _value in {
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
}.items():
    os.environ.setdefault(_name, _value)
