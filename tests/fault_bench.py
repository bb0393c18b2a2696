"""One study as a command, a fault put into it, what it came to, and the command once more.

Every fault is judged the same way, by `Bench.mend`: what was finished before the fault is not made
again by the next run, and everything that run ends with is, byte for byte, what an undisturbed run
ends with.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from spinforge.datasets.storage.store import DatasetStore

NOT_STARTED = "none: nothing had started"

PATIENCE_S = 300
"""For one command; an undisturbed one takes 15 s on an idle machine."""


@dataclass
class Row:
    """What the table says of one fault."""

    fault: str
    prefect: str = ""
    said: str = ""
    lost: str = ""
    rerun: str = ""


def hashes(folder: Path) -> dict[str, str]:
    """Digests of all a study came to: its set, weights, label maps and scores."""
    store = DatasetStore(folder / "dataset.zarr")
    found = {"set": store.digest(store.complete_subjects())}
    names = ("networks/*/network.pt", "evaluation/*/*.npz", "evaluation/cases.csv")
    for path in sorted(path for name in names for path in folder.glob(name)):
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def finished_units(folder: Path) -> dict[str, tuple[int, int]]:
    """What would change if a finished subject, network or score were made again."""
    names = ("dataset.zarr/kspace/*/zarr.json", "networks/*/network.pt", "evaluation/*/*.npz")
    paths = (path for name in names for path in folder.glob(name))
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


@dataclass
class Bench:
    """Commands on one study in one folder.

    Attributes:
        study: Its file.
        out: Folder of its runs.
        undisturbed: `hashes` of a run that nothing disturbed.
        row: What the table will say.
        environment: What the commands find in theirs.
        started: When the last command was.
        expected: States that Prefect may show of it in the end.
    """

    study: Path
    out: Path
    undisturbed: dict[str, str]
    row: Row
    environment: dict[str, str]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    expected: tuple[str, ...] = ("Completed",)

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.out / "tiny"

    def start(
        self, *more: str, command: str = "study", before: tuple[str, ...] = ()
    ) -> "subprocess.Popen[str]":
        """Start a command on the study, in a process group of its own."""
        self.started = datetime.now(UTC)
        spinforge = (sys.executable, "-c", "from spinforge.flows.cli import main; main()")
        return subprocess.Popen(
            [*before, *spinforge, command, str(self.study), "--set", f"out={self.out}", *more],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, run: "subprocess.Popen[str]") -> tuple[int, str]:
        """Exit code and standard error of a command that ends by itself."""
        try:
            _, said = run.communicate(timeout=PATIENCE_S)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
        return run.returncode, said

    def wait_for(self, condition: Callable[[], object], run: "subprocess.Popen[str]") -> None:
        """Wait until something is so in a run that goes on."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert run.poll() is None, f"ended before the fault: {run.communicate()[1]}"
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.01)

    def subjects(self) -> int:
        """Number of complete subjects."""
        return len(DatasetStore(self.folder / "dataset.zarr").complete_subjects())

    def units(self) -> dict[str, tuple[int, int]]:
        """`finished_units` of the run's folder."""
        return finished_units(self.folder)

    def failed(self, run: "subprocess.Popen[str]", *names: str) -> str:
        """The one clear line of a run that ends with an error; it must hold `names`."""
        code, said = self.end(run)
        assert code == 2, said
        assert "Traceback" not in said, said
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        for name in names:
            assert name in said[said.index(line) :], said
        self.row.said = line.removeprefix("error: ")
        self.expected = ("Failed",)
        return said

    def _require_state(self, known: FlowRun | None) -> None:
        """What Prefect shows of the disturbed run, now that the next one has ended."""
        if known is None:
            return
        with get_client(sync_client=True) as client:
            now = str(client.read_flow_run(known.id).state_name)
        if now != self.row.prefect:
            self.row.prefect += f", then {now}"
        assert self.row.prefect in self.expected, self.row.prefect

    def killed(self, run: "subprocess.Popen[str]", *, group: bool = True) -> None:
        """Kill a run with no chance to say anything."""
        (os.killpg if group else os.kill)(run.pid, signal.SIGKILL)
        run.communicate()
        self.row.said = "(killed: nothing)"
        self.expected = ("Running, then Crashed",)

    def flow_run(self) -> FlowRun | None:
        """The outermost flow run of the command started last, if Prefect knows one."""
        since = FlowRunFilter(start_time=FlowRunFilterStartTime(after_=self.started))
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=since, sort=FlowRunSort.START_TIME_ASC, limit=50
            )
        return next((run for run in runs if run.parent_task_run_id is None), None)

    def prefect_state(self) -> str:
        """Its state."""
        run = self.flow_run()
        return NOT_STARTED if run is None else str(run.state_name)

    def mend(self, *more: str, fault_is_over: Callable[[], object] = lambda: None) -> None:
        """Run the same command again: nothing finished is made again, all hashes are the same."""
        known = None if self.row.prefect else self.flow_run()
        if not self.row.prefect:
            self.row.prefect = NOT_STARTED if known is None else str(known.state_name)
        before = finished_units(self.folder)
        fault_is_over()
        code, said = self.end(self.start(*more))
        assert code == 0, said
        self._require_state(known)
        after = finished_units(self.folder)
        lost = {name for name, unit in before.items() if after.get(name) != unit}
        self.row.lost = f"nothing ({len(before)} finished)" if not lost else ", ".join(sorted(lost))
        assert not lost, lost
        found = hashes(self.folder)
        names = found.keys() | self.undisturbed.keys()
        other = sorted(n for n in names if found.get(n) != self.undisturbed.get(n))
        self.row.rerun = f"{len(found)} hashes the same" if not other else f"other: {other}"
        assert not other, other
