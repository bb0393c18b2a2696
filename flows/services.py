"""Programs that run beside each other until all are told to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

import psutil

from spinforge.flows.network import answers
from spinforge.flows.progress import say
from spinforge.simulation.errors import SpinforgeError

STARTUP_TIMEOUT_S = 180
"""A first start makes the servers' databases, on a busy machine."""

_STOP_TIMEOUT_S = 30
"""For a service, and again for what it has started."""


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
            if answers(address):
                return
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
            started = []  # also those that have left its session, as long as it is their parent
            with suppress(psutil.Error):
                started = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                say(f"{name} does not end; killing it")
                process.kill()
                process.wait()
            _end({*started, *_of_session(process.pid)})


def _of_session(number: int) -> list[psutil.Process]:
    """What a service has started, also while it was told to end."""
    found = []
    for process in psutil.process_iter():
        with suppress(OSError):
            if os.getsid(process.pid) == number:
                found.append(process)
    return found


def _end(processes: Collection[psutil.Process]) -> None:
    """End what a service has left: runs of flows tell their server first, as it is still there."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_STOP_TIMEOUT_S)
    for process in alive:
        with suppress(psutil.Error):  # it has ended meanwhile
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
    say(f"ending    what runs; at most {2 * _STOP_TIMEOUT_S} s each")
