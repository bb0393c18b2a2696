"""What all processes that work on one set have in common: versions, code, the set's folder."""

import hashlib
import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path

import spinforge
from spinforge.datasets.storage.locations import LocalFolder, location_of
from spinforge.simulation.errors import SpinforgeError

Facts = dict[str, str]

_PACKAGES = ("spinforge", "numpy", "scipy", "torch", "zarr", "numcodecs", "sigpy", "nibabel")
_LAYERS = ("simulation", "datasets")
_CODE = "source code"


@cache
def worker_facts() -> Facts:
    """Versions of the packages, and a digest of the code that simulates and stores."""
    facts = {name: importlib.metadata.version(name) for name in _PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return facts | {
        "Python": python,
        "architecture": platform.machine(),
        "vector units": _vector_units(),
        _CODE: _code_digest(),
    }


def _vector_units() -> str:
    """What PyTorch computes with: without, its sums have other last bits.

    AVX2 and AVX512 give the same ones here, so a cluster may have both.
    """
    from torch.backends.cpu import get_cpu_capability  # late: it is heavy

    found = str(get_cpu_capability())
    return "AVX2 or better" if found in ("AVX2", "AVX512") else found


def require_same(wanted: Facts) -> None:
    """Check that this process would make the same bytes.

    Raises:
        SpinforgeError: If not; names what differs.
    """
    if different := differences(wanted, worker_facts()):
        raise SpinforgeError(_refusal(f"a worker on {platform.node()}", different))


def differences(wanted: Facts, found: Facts) -> str:
    """Such as "torch 2.13.0 here, 2.12.1 there", or nothing."""
    return ", ".join(
        f"{name} {value[:12]} here, {found.get(name, 'none')[:12]} there"
        for name, value in wanted.items()
        if found.get(name) != value
    )


def require_same_everywhere(wanted: Facts, found: dict[str, Facts]) -> None:
    """Check what every worker said.

    Args:
        wanted: Our own facts.
        found: Those of each worker, by its address.

    Raises:
        SpinforgeError: If one differs; names it and what.
    """
    for address, facts in found.items():
        if different := differences(wanted, facts):
            raise SpinforgeError(_refusal(f"the worker {address}", different))


def read_token(place: Path | str, name: str) -> str:
    """What a worker finds in the set, or what keeps it from reading or writing there."""
    try:
        location = location_of(place)
        found = location.read(name)
    except (SpinforgeError, OSError) as error:
        return str(error)
    if isinstance(location, LocalFolder) and found and not os.access(location.path, os.W_OK):
        return "no permission"
    return found.decode() if found else "it is not the folder that this machine sees"


def _refusal(who: str, different: str) -> str:
    return (
        f"dask.address: {who} would make other bytes than this machine: {different}. Install the "
        f"same versions there (requirements.lock) and start it again."
    )


def _code_digest() -> str:
    """SHA-256 over the source files that shape a subject."""
    root = Path(spinforge.__file__).parent
    digest = hashlib.sha256()
    for layer in _LAYERS:
        for path in sorted((root / layer).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
