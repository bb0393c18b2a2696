"""Settings of Prefect and MLflow that must stand before either is imported.

Every one is a default: what the user has set in the environment wins.
"""

import os

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Commands print what happens in their own words; Prefect's page has the full log.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A server that restarts is waited for about a minute, not four; after that Prefect tries again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    # Standard output belongs to the answer of a command.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Git lookups and update checks have no place in a run that must work offline.
    "GIT_PYTHON_REFRESH": "quiet",
    # Python's own tracker of semaphores speaks up whenever a run is stopped, and frees them.
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
}


def prepare() -> None:
    """Set what is not set yet."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
