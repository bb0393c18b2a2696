"""How many processes this machine holds: one a core, as long as a subject fits in each."""

import os

from spinforge.datasets.products.catalogue import maker_of
from spinforge.flows.config import Study

_GIB = 2**30
_LIBRARIES_BYTES = 1.25 * _GIB
"""A process with the libraries and what a head needs while it is composed; `benchmarks/scaling.py`
prints the peak it measures."""
_COPIES = 2
"""Of a subject's arrays in memory at once."""


def bytes_of_worker(study: Study) -> int:
    """What one process takes while it makes a subject of the study, at most."""
    return int(_LIBRARIES_BYTES + _COPIES * maker_of(study.data).expected_bytes())


def worker_count(study: Study) -> int:
    """Processes of this machine: the study's number, or as many as have a core and memory."""
    if study.workers is not None:
        return study.workers
    cores, memory = machine_size()
    fitting = (study.dask.memory_gib or 0) * _GIB or bytes_of_worker(study)
    return max(1, min(cores, int(memory // fitting)))


def machine_size() -> tuple[int, int]:
    """Cores and bytes of memory that we may use: what is set for us by affinity or container."""
    try:
        from dask.system import CPU_COUNT
        from distributed.system import MEMORY_LIMIT
    except ModuleNotFoundError:  # where a packed study trains
        return os.cpu_count() or 1, 4 * _GIB
    return CPU_COUNT, MEMORY_LIMIT
