"""The `Tracker` of a machine without MLflow: it is told everything and keeps nothing.

All of it can be told again from the run's folder: histories, networks and scores lie there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from spinforge.flows.config import Study


class Untracked:
    """Stands where `Tracker` stands.

    Args:
        study: Not used.
    """

    uri = "none: MLflow is not installed or not wanted"

    def __init__(self, study: Study) -> None: ...

    @contextmanager
    def study_run(self) -> Iterator[str]:
        """No run."""
        yield ""

    @contextmanager
    def network_run(self, folder: Path, name: str, *, watched: bool = False) -> Iterator[str]:
        """No run."""
        yield ""

    def is_logged(self, folder: Path, what: str) -> bool:
        """Never."""
        return False

    def lightning_logger(self, run: str) -> Logger:
        """A logger that writes nothing."""
        return _Silent()

    def address_of(self, folder: Path) -> str:
        """Nowhere."""
        return ""

    def _keep_nothing(self, *_: Any, **__: Any) -> None: ...

    mark_logged = log_params = log_metrics = log_curves = log_dataset = _keep_nothing
    log_file = log_table = log_figure = log_network = set_tags = register = crown = _keep_nothing


class _Silent(Logger):
    """Lightning's own one cannot be handed to the processes of several GPUs."""

    name = version = ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep nothing."""

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Keep nothing."""
