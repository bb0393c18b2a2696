"""Checks of what is elsewhere: a Dask scheduler, an object store."""

from collections.abc import Iterator

from spinforge.datasets.storage.addresses import redacted
from spinforge.flows.doctor.finding import Finding, Place, addresses
from spinforge.flows.doctor.network import why_not_reached
from spinforge.simulation.errors import SpinforgeError


def dask_schedulers(place: Place) -> Iterator[Finding]:
    """Schedulers that studies name answer."""
    for address, path in addresses(place, "dask", "address").items():
        url = address if "://" in address else f"tcp://{address}"
        if reason := why_not_reached(url, 8786):
            what = f"no scheduler at {redacted(address)} ({reason})"
            remedy = f"start one (dask scheduler --host 127.0.0.1), or take it out of {path}"
            yield Finding("Dask", "problem", what, remedy)
        else:
            yield Finding("Dask", "ok", f"{redacted(address)} answers")


def object_stores(place: Place) -> Iterator[Finding]:
    """Object stores that studies name can be read; writing is not tried."""
    for address, path in addresses(place, "dataset").items():
        if "://" in address:
            yield _store(address, str(path))


def _store(address: str, path: str) -> Finding:
    from spinforge.datasets.storage.locations import METADATA, location_of

    try:
        there = location_of(address).read(METADATA) is not None
    except SpinforgeError as error:
        what = redacted(str(error))
        return Finding("object store", "problem", what, f"or correct `dataset` in {path}")
    state = "holds a set" if there else "no set there yet"
    return Finding("object store", "ok", f"{address} can be read; {state}")
