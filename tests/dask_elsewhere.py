"""A Dask scheduler and workers that are not our children, as on other machines."""

import os
import signal
import subprocess
import sys

from distributed import Client

QUIET = {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]"}


def start(*arguments, folder):
    """A Dask command in a session of its own, as on another machine."""
    paths = os.pathsep.join([str(folder), *(path for path in sys.path if path)])
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=os.environ | QUIET | {"PYTHONPATH": paths},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def start_scheduler(port, folder):
    place = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    return start("distributed.cli.dask_scheduler", *place, folder=folder)


def start_workers(address, folder, *more):
    place = ["--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(folder)]
    return start(
        "distributed.cli.dask_worker", address, "--nthreads", "1", *place, *more, folder=folder
    )


def wait_for_workers(address, count):
    with Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)
