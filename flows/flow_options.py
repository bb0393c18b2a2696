"""What every flow of ours is declared with, besides its name and its limit of time."""

import importlib.metadata
from typing import Any

from spinforge.flows.notify import notify_end

VERSION_PREFIX = "spinforge "
"""Tells our runs from those of other projects with flows of the same names, on the same server."""

FLOW_OPTIONS: dict[str, Any] = {
    "version": VERSION_PREFIX + importlib.metadata.version("spinforge"),
    "on_failure": [notify_end],
    "on_crashed": [notify_end],
}
"""Options of `prefect.flow`."""
