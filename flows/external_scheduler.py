"""Workers of a Dask scheduler that runs already: found out before any work starts."""

import ipaddress
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spinforge.datasets.storage.locations import location_of
from spinforge.flows.config import Study
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.worker_facts import (
    Facts,
    read_token,
    require_same_everywhere,
    worker_facts,
)
from spinforge.simulation.errors import SpinforgeError

if TYPE_CHECKING:
    from distributed import Client

_TIMEOUT_S = 5
_CERTIFICATES = (
    "DASK_DISTRIBUTED__COMM__TLS__CA_FILE",
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT",
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY",
)


@contextmanager
def connected(study: Study) -> Iterator[tuple["Client", Facts]]:
    """Connect to `dask.address` and check its workers.

    Yields:
        The client, and what a worker that comes later must have in common with us.

    Raises:
        SpinforgeError: If nobody answers, or the workers cannot do this study's work.
    """
    from distributed import Client

    from spinforge.flows.cluster import quiet_dask  # it uses this module

    address = study.dask.address
    assert address is not None
    if not address.startswith("tls://") and not _is_loopback(address):
        say(
            f"warning   dask.address = {address}: not encrypted, and whoever reaches this port "
            f"may run code as its workers. Use tls:// with certificates, or a closed network."
        )
    with quiet_dask():
        try:
            client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SpinforgeError(
                f"dask.address: no Dask scheduler answers at {address} within {_TIMEOUT_S} s. "
                f"Start one with `dask scheduler`, correct the address, or leave it out to compute "
                f"on this machine."
            ) from error
        except TypeError as error:  # Dask's way to say that there are no certificates
            raise SpinforgeError(
                f"dask.address: {address} needs certificates: {error}. Name their files in "
                f"{', '.join(_CERTIFICATES)} (docs/scale.md)."
            ) from error
        with client:
            check_workers(client, study)
            yield client, worker_facts()


def check_workers(client: "Client", study: Study) -> None:
    """Check that there are workers, that they make our bytes, and that they see our folders.

    Raises:
        SpinforgeError: With the first thing that is wrong and what to do.
    """
    if not client.nthreads():
        raise SpinforgeError(
            f"dask.address: the scheduler at {study.dask.address} has no workers. Start some with "
            f"`dask worker {study.dask.address} --nthreads 1`."
        )
    _require_one_thread(client)
    _require_nannies(client)
    require_same_everywhere(worker_facts(), _ask(client, worker_facts))
    _require_shared(client, study)


def _require_one_thread(client: "Client") -> None:
    """Threads of one process would share PyTorch's number of threads, which is set to one."""
    for address, threads in client.nthreads().items():
        if threads > 1:
            raise SpinforgeError(
                f"dask.address: the worker {address} has {threads} threads; a subject takes a "
                f"process of its own. Start it with `--nthreads 1 --nworkers {threads}`."
            )


def _require_nannies(client: "Client") -> None:
    """What a worker does can only be ended with its process, and only its nanny ends that."""
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        if worker["nanny"] is None:
            raise SpinforgeError(
                f"dask.address: the worker {address} has no nanny, so that nothing could end what "
                f"it does. Start it without `--no-nanny`."
            )


def _require_shared(client: "Client", study: Study) -> None:
    """Check that every worker reads what we write beside the set, and the files of the phantoms."""
    place, token = RunFolder.of(study).store.path, uuid.uuid4().hex
    place = place.absolute() if isinstance(place, Path) else place
    folder = f".seen-{token}"
    location = location_of(place)
    location.write(f"{folder}/token", token.encode())
    try:
        read = _ask(client, read_token, place, f"{folder}/token")
    finally:
        location.remove(folder)
    for worker, found in read.items():
        if found != token:
            raise SpinforgeError(
                f"dask.address: the worker {worker} cannot write into {place}: {found}. Put "
                f"the set into a folder that all machines share, under the same path, or into an "
                f"object store: --set dataset=s3://BUCKET/NAME.zarr"
            )
    source = getattr(study.data, "path", None)
    if source is None:
        return
    for worker, found in _ask(client, os.path.exists, str(source.absolute())).items():
        if not found:
            raise SpinforgeError(
                f"dask.address: the worker {worker} does not see data.path = {source.absolute()}. "
                f"Put the files where all machines see them under the same path."
            )


def _ask(client: "Client", question: Callable[..., Any], *given: Any) -> dict[str, Any]:
    """Have every worker call a function.

    Raises:
        SpinforgeError: If one cannot.
    """
    answers = client.run(question, *given, on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise SpinforgeError(
                f"dask.address: the worker {worker} cannot run this version of Spinforge: "
                f"{answer!r}. Install the same one there and start it again."
            )
    return dict(answers)


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
