"""How long a flow may take, and what only one task at a time may do.

A time-out is there for what hangs: a mount that does not answer, a GPU driver that waits for ever.
Nobody looks at night, and a run that never ends keeps every later one out. Each is many times what
the longest of the shipped studies takes; a training goes on from its checkpoint afterwards.
"""

from typing import TYPE_CHECKING

from spinforge.flows.local_server import is_private

if TYPE_CHECKING:
    from spinforge.flows.config import Study

_HOUR = 3600.0
_DAY = 24 * _HOUR

DOWNLOAD_S = 12 * _HOUR
"""At most 42 files of 4 MB from a university's server, an hour each at the worst."""

GENERATE_S = 7 * _DAY
"""10 000 subjects on one machine take days."""

VERIFY_S = 2 * _DAY
"""Reading and hashing as much: the disk's speed, or that of an object store."""

TRAIN_S = 30 * _DAY
"""All networks of a study at a paper's size, also where there is no GPU."""

EVALUATE_S = 4 * _DAY
"""Predicting every test slice by every network."""

STUDY_S = 45 * _DAY
"""All of these, and a robustness study's trainings at several seeds."""

REPORT_S = 12 * _HOUR
"""Bootstraps over a long table, and its page."""

PRUNE_S = 12 * _HOUR
"""Deletes rows and files; the first one, after a year, has the most to do."""

POOLS = {"cpu": 2, "gpu": 1}
"""Work pool -> runs at a time; beside a long one in `cpu`, a short one such as prune gets by."""

GPU = "gpu"
"""Tag of what uses the GPU. `spinforge serve` lets one task with it run at a time."""


def gpu_tag(study: "Study") -> list[str]:
    """The tag for a task that computes where a study trains.

    None on a private server: if that is killed, nobody takes its slot back, and every later run
    would wait for it.
    """
    if is_private():
        return []
    from spinforge.models.training.possible import available_device  # late: it needs PyTorch

    return [GPU] if available_device(study.training).type == "cuda" else []
