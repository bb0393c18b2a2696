"""Programs that run beside each other until all are told to end."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import psutil

from spinforge.flows.progress import say
from spinforge.simulation.errors import SpinforgeError

STARTUP_TIMEOUT_S = 180
"""A first start makes the servers' databases, on a busy machine."""

_STOP_TIMEOUT_S = 30


@dataclass
class Services:
    """Child processes in the order in which they were started; they end in the reverse one.

    Each has a session of its own: Ctrl-C of the terminal reaches only us, or servers would be gone
    before those who still have something to tell them.
    """

    _running: list[tuple[str, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    def start(
        self, name: str, module: str, arguments: Sequence[str], env: Mapping[str, str]
    ) -> None:
        """Run a Python module; what it says goes to our standard error.

        Args:
            name: For messages.
            module: Run with this Python.
            arguments: Of its command line.
            env: The whole environment.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
        self._running.append((name, process))

    def wait_for(self, address: str) -> None:
        """Wait until somebody answers there.

        Raises:
            SpinforgeError: If nobody does in time, or one of the services ends.
        """
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise SpinforgeError(f"nobody answers at {address} after {STARTUP_TIMEOUT_S} s")

    def require_alive(self) -> None:
        """See whether all still run.

        Raises:
            SpinforgeError: Naming the first one that does not.
        """
        for name, process in self._running:
            if (code := process.poll()) is not None:
                raise SpinforgeError(
                    f"{name} ended by itself, with exit code {code}; what it said stands above. "
                    f"The others are ended too"
                )

    def stop(self) -> None:
        """End all, the last one first, and whatever they have started."""
        while self._running:
            name, process = self._running.pop()
            try:
                started = psutil.Process(process.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                started = []
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                say(f"{name} does not end; killing it")
                process.kill()
                process.wait()
            _end(started)


def _end(processes: list[psutil.Process]) -> None:
    """End what a service has left: runs of flows tell their server first, as it is still there."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=_STOP_TIMEOUT_S)
    for process in alive:
        process.kill()


@contextmanager
def running() -> Iterator[Services]:
    """Services that end with the block, which Ctrl-C ends, and SIGTERM too.

    Raises:
        KeyboardInterrupt: For either.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    both, services = (signal.SIGINT, signal.SIGTERM), Services()
    # Also where a shell has started us in the background, deaf to Ctrl-C: Prefect's workers would
    # inherit that, and they end by it.
    before = [signal.signal(number, stop) for number in both]
    try:
        yield services
    finally:
        for number in both:  # a second one must not leave the rest running
            signal.signal(number, _say_patience)
        services.stop()
        for number, handler in zip(both, before, strict=True):
            signal.signal(number, handler)


def _say_patience(_number: int, _frame: FrameType | None) -> None:
    say(f"ending    what runs; at most {_STOP_TIMEOUT_S} s each")
