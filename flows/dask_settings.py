"""Where subjects are computed: on this machine's cores, or at a Dask scheduler that runs already.

None of this changes a byte of any result, so none of it is part of any hash.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from spinforge.datasets.storage.addresses import without_secret
from spinforge.datasets.storage.files import UserPath
from spinforge.simulation.config import Config

_ADDRESS = re.compile(r"(tcp|tls)://[^/@\s]+:[0-9]{1,5}")


def _scheduler_address(address: str) -> str:
    if not _ADDRESS.fullmatch(without_secret(address)):
        raise ValueError("write tcp://HOST:PORT or tls://HOST:PORT, such as tcp://127.0.0.1:8786")
    return address


class DaskSettings(Config):
    """How `spinforge generate` and `spinforge corrupt` use Dask."""

    address: Annotated[str, AfterValidator(_scheduler_address)] | None = Field(
        None,
        description="scheduler that runs already, tcp://HOST:PORT or tls://HOST:PORT, whose "
        "workers see the set's folder; by default processes of this machine",
    )
    subject_minutes: float = Field(
        120,
        gt=0,
        le=10080,
        description="a subject, or one of its corruption chains, that takes longer is ended and "
        "fails",
    )
    memory_gib: float | None = Field(
        None,
        ge=0.5,
        le=4096,
        description="memory of each process of this machine, which is ended and started anew "
        "above it; by default its share of the machine's",
    )
    folder: UserPath | None = Field(
        None,
        description="folder for what the processes of this machine put out of memory; by default "
        "the system's for temporary files",
    )
