"""Checks of the machine: disks, memory, open files, cores."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spinforge.flows.doctor.finding import Finding, Place, study_content

_GIB = 2**30
_LITTLE_DISK = 5 * _GIB  # a study of twenty heads with its networks
_NO_DISK = _GIB // 2
_FEW_INODES = 10_000  # a set of a few hundred subjects
_LITTLE_MEMORY = 2 * _GIB  # one process that simulates, and one that trains
_LITTLE_SHARED = 64 * 2**20  # what Docker gives; batches of several loading processes need more
_MANY_FILES, _FEW_FILES = 1024, 256


def disks(place: Place) -> Iterator[Finding]:
    """There is room for results and for temporary files, and a right to write them."""
    folders = {"runs folder": place.runs, "TMPDIR": Path(tempfile.gettempdir())}
    for check, folder in folders.items():
        remedy = "set TMPDIR to" if check == "TMPDIR" else "remove what is old, or --set out=..."
        remedy += " a folder on another disk" if check == "TMPDIR" else ""
        yield from _room(check, folder, remedy)


def _room(check: str, folder: Path, remedy: str) -> Iterator[Finding]:
    there = _nearest_existing(folder)
    if not there.is_dir():
        yield Finding(check, "problem", f"{there} is a file", "remove it or name another folder")
        return
    effective = os.access in os.supports_effective_ids
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=effective):
        what = f"no permission to write {there}"
        yield Finding(check, "problem", what, f"chown or chmod {there}, or name another folder")
        return
    free = shutil.disk_usage(there).free
    shown = f"{free / _GIB:.1f} GiB free at {there}"
    inodes = _free_inodes(there)
    if free < _NO_DISK:
        yield Finding(check, "problem", f"the disk is full: {shown}", remedy)
    elif inodes is not None and inodes < _FEW_INODES:
        what = f"only {inodes} more files fit on the disk of {there} (df -i)"
        yield Finding(check, "problem", what, remedy)
    elif free < _LITTLE_DISK:
        yield Finding(check, "warning", f"little room: {shown}", remedy)
    else:
        yield Finding(check, "ok", shown)


def _free_inodes(folder: Path) -> int | None:
    """How many files can still be made; None where the disk has no such limit."""
    if not hasattr(os, "statvfs"):
        return None
    state = os.statvfs(folder)
    return state.f_favail if state.f_files else None


def memory(_: Place) -> Iterator[Finding]:
    """There is memory for a run, also by the limit of a container or a job."""
    import psutil

    available = psutil.virtual_memory().available
    limit = _memory_limit()
    left = available if limit is None else min(available, limit)
    where = "" if limit is None or limit > available else " under this container's or job's limit"
    shown = f"{left / _GIB:.1f} GiB available{where}"
    if left < _LITTLE_MEMORY:
        remedy = "end what else runs, give the container more, or use --set workers=1"
        yield Finding("memory", "warning", f"little: {shown}", remedy)
    else:
        yield Finding("memory", "ok", shown)
    shared = Path("/dev/shm")
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) <= _LITTLE_SHARED:
        what = f"{free / 2**20:.0f} MiB free in {shared}, by which processes share batches"
        remedy = "docker run --shm-size=1g; or remove what was left in it"
        yield Finding("shared memory", "warning", what, remedy)


def _memory_limit() -> int | None:
    """What the control group leaves us [bytes]; None where there is none."""
    two, one = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
    for limit, used in (
        (two / "memory.max", two / "memory.current"),
        (one / "memory.limit_in_bytes", one / "memory.usage_in_bytes"),
    ):
        try:
            return int(limit.read_text()) - int(used.read_text())
        except (OSError, ValueError):
            continue  # not there, or "max"
    return None


def open_files(_: Place) -> Iterator[Finding]:
    """The limit of open files fits a server, its workers and a sharded set."""
    try:
        import resource
    except ModuleNotFoundError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    remedy = "ulimit -n 4096 before starting; for services LimitNOFILE=4096"
    if soft == resource.RLIM_INFINITY or soft >= _MANY_FILES:
        yield Finding("open files", "ok", f"limit {soft}")
    elif soft < _FEW_FILES:
        what = f"a process may open {soft} files (at most {hard}); servers need more"
        yield Finding("open files", "problem", what, remedy)
    else:
        yield Finding("open files", "warning", f"limit {soft}, which many workers use up", remedy)


def cores(place: Place) -> Iterator[Finding]:
    """As many threads and processes as there are cores for us, not more."""
    usable = usable_cores()
    wrong = False
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        threads = os.environ.get(name, "").partition(",")[0]
        if threads.isdigit() and int(threads) > usable:
            wrong = True
            what = f"{name}={threads}, but {usable} cores are for us: threads wait for each other"
            yield Finding("cores", "warning", what, f"unset {name}, or export {name}=1")
    for path in [place.study] if place.study else []:
        workers = study_content(path).get("workers")
        if isinstance(workers, int) and workers > usable:
            wrong = True
            what = f"{path}: {workers} workers on {usable} cores"
            yield Finding("cores", "warning", what, f"--set workers={usable}")
    if not wrong:
        yield Finding("cores", "ok", f"{usable} for us")


def usable_cores() -> int:
    """Cores that this process may use, also by the quota of a container."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):
        return count


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not os.path.exists(path):
        path = path.parent
    return path
