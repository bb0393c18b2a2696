"""Memory of a running command and of every process it started, from Linux's /proc."""

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_PAUSE_S = 0.2


@dataclass
class PeakMemory:
    """Largest values seen [bytes]; all 0 where there is no Linux.

    Attributes:
        process: Resident memory of the largest process, shared pages in full (its VmHWM).
        tree: Sum over all processes at one time, each shared page counted once (their PSS).
        parts: What that sum was made of, the largest first.
    """

    process: int = 0
    tree: int = 0
    parts: list[int] = field(default_factory=list)


def run_watched(command: list[str]) -> tuple[str, PeakMemory, float]:
    """Run a command to its end.

    Returns:
        Its standard output, its memory, wall time [s].

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    peak, finished = PeakMemory(), threading.Event()
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, finished))
        watcher.start()
        try:
            output, _ = process.communicate()
        finally:
            finished.set()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return output, peak, seconds


def _watch(root: int, peak: PeakMemory, finished: threading.Event) -> None:
    while not finished.wait(_PAUSE_S):
        processes = _descendants(root)
        sizes = [_kilobytes(pid, "status", "VmHWM:") for pid in processes]
        peak.process = max([peak.process, *(1024 * size for size in sizes)])
        parts = [1024 * _kilobytes(pid, "smaps_rollup", "Pss:") for pid in processes]
        if sum(parts) > peak.tree:
            peak.tree, peak.parts = sum(parts), sorted(parts, reverse=True)


def _descendants(root: int) -> list[int]:
    """The process and all that it started, directly or not."""
    parents = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            # After the name, which may hold anything and ends with the last bracket.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _kilobytes(pid: int, file: str, key: str) -> int:
    try:
        lines = (_PROC / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(key)), 0)
