"""A month of nights in minutes: what grows while the schedule goes on, and what prune takes away.

    python benchmarks/nights.py [--nights 30] [--every 20]

Everything is as in docs/operations.md, in a folder of its own: `spinforge serve` with both servers
and workers, `prefect deploy --all` of one deployment of the flow `regenerate`, whose schedule fires
every few seconds instead of every night. Every fifth night finds a subject lost and makes it again.
After the last night old records are pruned as `spinforge prune` does, of every age.

Prints one line a night, and at the end, for each figure, the last night's against that of an early
night; exits with 1 if memory, open files, temporary files or the number of processes grew, if a run
did not end as it should, or if pruning leaves more records than there were.
"""

import argparse
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

EARLY = 5
"""The night that later ones are compared with: caches are filled by then."""

ENDED = ("Completed", "Failed", "Crashed", "TimedOut")
"""Not Cancelled: a night that begins while the one before goes on."""

STUDY = """
name: night
data:
  phantom: procedural
  spacing_mm: 4
  subjects: {train: 2, validation: 1, test: 1}
  slices: {thickness_mm: 12, count: 12}
  sampling: {acs_lines: 4}
"""

DEPLOYMENT = """
name: nights
deployments:
  - name: nightly
    entrypoint: spinforge.flows.regenerate.regenerate
    parameters: {study: {file: night.yaml, set: []}}
    work_pool: {name: cpu}
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
    schedules:
      - interval: EVERY
        slug: nightly
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(place: Path) -> Iterator[psutil.Process]:
    """`spinforge serve` in a folder; its address is left in our environment."""
    prefect, mlflow = free_port(), free_port()
    os.environ |= {
        "PREFECT_HOME": str(place / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{prefect}/api",
        "TMPDIR": str(place / "tmp"),
    }
    command = ["-c", "from spinforge.flows.cli import main; main()", "serve", "runs"]
    command += ["--port", str(prefect), "--mlflow-port", str(mlflow)]
    with (place / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *command],
            cwd=place,
            env=os.environ | {"PREFECT_WORKER_QUERY_SECONDS": "2"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while "elsewhere" not in (place / "serve.log").read_text():
            if server.poll() is not None:
                raise SystemExit((place / "serve.log").read_text())
            time.sleep(0.5)
        yield psutil.Process(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=120)


def figures(serve: psutil.Process, place: Path) -> dict[str, float]:
    """What must not grow; runs in progress are not counted."""
    lasting = [serve, *serve.children(), *(p for c in serve.children() for p in c.children())]
    lasting = [p for p in lasting if "execute" not in " ".join(p.cmdline())]
    return {
        "MiB": sum(p.memory_info().rss for p in lasting) / 2**20,
        "open files": sum(p.num_fds() for p in lasting),
        "processes": len(lasting),
        "temp files": sum(1 for p in (place / "tmp").rglob("*") if p.is_file()),
        "run files": sum(1 for p in (place / "runs").rglob("*") if p.is_file()),
        "Prefect KiB": in_use(place / "prefect" / "prefect.db"),
        "MLflow KiB": size(place / "runs", "mlflow.db*"),
    }


def in_use(database: Path) -> float:
    """Of an SQLite file without the pages that are free to be used again [KiB]."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        pages, free, page = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * page / 1024


def size(folder: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in folder.glob(pattern)) / 1024


def ended(count: int) -> list[str]:
    """States of the runs of the flow that have ended, the latest first."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["regenerate"])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(ENDED)))
            ),
            sort=FlowRunSort.END_TIME_DESC,
            limit=count,
        )
    return [str(run.state_name) for run in runs]


def records() -> int:
    """Flow runs that Prefect knows, but for those to come."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        offset, count = 0, 0
        while page := client.read_flow_runs(limit=200, offset=offset):
            offset += len(page)
            count += sum(run.end_time is not None for run in page)
    return count


def show(name: str, row: dict[str, float]) -> None:
    print(f"{name:<12}" + "".join(f"{value:>13.0f}" for value in row.values()), flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--nights", type=int, default=30)
    arguments.add_argument("--every", type=int, default=20, help="seconds from night to night")
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with us
    place = Path(tempfile.mkdtemp(prefix="spinforge-nights-"))
    for name in ("tmp", "prefect", "runs"):
        (place / name).mkdir()
    (place / "night.yaml").write_text(STUDY)
    (place / "prefect.yaml").write_text(DEPLOYMENT.replace("EVERY", str(chosen.every)))
    try:
        with serving(place) as serve:
            return watch(serve, place, chosen.nights)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def watch(serve: psutil.Process, place: Path, nights: int) -> int:
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    subprocess.run(deploy, cwd=place, check=True, stdout=subprocess.DEVNULL)
    seen: list[dict[str, float]] = []
    states: list[str] = []
    while len(states) < nights:
        found = ended(nights)
        if len(found) == len(states):
            time.sleep(0.5)
            continue
        states = found
        row = figures(serve, place)
        if not seen:
            print(f"{'':<12}" + "".join(f"{name:>13}" for name in row))
        seen.append(row)
        show(f"night {len(states)}", row)
        if len(states) % 5 == 4:
            shutil.rmtree(place / "runs/night/dataset.zarr/kspace/head-000")
    return judge(seen, states, serve, place)


def judge(
    seen: list[dict[str, float]], states: list[str], serve: psutil.Process, place: Path
) -> int:
    from spinforge.flows.prune_records import prune_flow_runs

    pause = ["--no-prompt", "deployment", "schedule", "pause", "--all"]
    subprocess.run([sys.executable, "-m", "prefect", *pause], check=True, stdout=subprocess.DEVNULL)
    before = records()
    went = len(prune_flow_runs(datetime.now(UTC), delete=True))
    time.sleep(10)  # the server deletes logs and tasks a little later
    after = figures(serve, place)
    show("pruned", after)
    early, late = seen[min(EARLY, len(seen)) - 1], seen[-1]
    print(f"\n{'':<14}{'night ' + str(EARLY):>12}{'last night':>12}{'pruned':>12}")
    for name in early:
        print(f"{name:<14}{early[name]:>12.0f}{late[name]:>12.0f}{after[name]:>12.0f}")
    print(f"runs that Prefect knew: {before}, pruned {went}, left {records()}")
    print("states: " + ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states))))
    grew = [n for n in ("open files", "processes", "temp files") if late[n] > early[n] + 3]
    grew += ["MiB"] if late["MiB"] > 1.1 * early["MiB"] else []
    grew += ["run files"] if late["run files"] > early["run files"] else []
    bad = [state for state in states if state != "Completed"]
    verdict = (
        "grew: " + ", ".join(grew) if grew else "nothing grew but the records that prune takes"
    )
    print(verdict)
    return 1 if grew or bad or records() > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
