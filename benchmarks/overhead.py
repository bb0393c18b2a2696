"""What a task of Prefect costs, and a study of which everything is there already.

    python benchmarks/overhead.py

Wall time, as that is what a night is made of. First 200 tasks that do nothing, as `verify` submits
one a subject: seconds a task, less than 0.05 wanted. Then a study of nine heads of which everything
is there already, by the command line with a running server, and without, where each command starts
one of its own: less than 15 s wanted. Fails beyond either.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from spinforge.flows import environment
from spinforge.flows.retries import RETRIES

TASKS = 200
TASK_LIMIT_S = 0.05
STUDY_LIMIT_S = 15.0

STUDY = """
name: overhead
data:
  spacing_mm: 4
  subjects: {train: 6, validation: 1, test: 2}
  slices: {thickness_mm: 12, count: 12}
  sampling: {acs_lines: 4}
networks: [{kind: unet, width: 4}, {kind: crdn}]
training: {epochs: 1}
"""


@flow(name="tasks")
def tasks(count: int) -> None:
    one = task(name="nothing", task_run_name="{number}", **RETRIES)(lambda number: number)
    with ThreadPoolTaskRunner(max_workers=2) as runner:
        futures = [runner.submit(one, {"number": number}) for number in range(count)]
        for future in futures:
            future.result()


def seconds_a_task() -> float:
    tasks(1)  # first connection, imports
    seconds = []
    for count in (0, TASKS):
        start = time.perf_counter()
        tasks(count)
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / TASKS


def seconds_of_study(folder: Path, server: str | None) -> float:
    """Wall time of the command, whose work is done."""
    command = "from spinforge.flows.cli import main; main()"
    env = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", command, "study", "study.yaml", "--json"],
        cwd=folder,
        env=env | ({"PREFECT_API_URL": server} if server else {}),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def main(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY)
    from prefect.settings import PREFECT_API_URL

    from spinforge.flows.local_server import prefect_server

    print(f"the study's first run, without a server: {seconds_of_study(folder, None):.1f} s")
    failed = False
    with prefect_server():
        per_task = seconds_a_task()
        print(f"{TASKS} tasks: {1000 * per_task:.1f} ms each (limit {1000 * TASK_LIMIT_S:.0f})")
        cached = {"with a running server": seconds_of_study(folder, PREFECT_API_URL.value())}
    cached["without one"] = seconds_of_study(folder, None)
    for how, seconds in cached.items():
        print(f"the study again, all of it cached, {how}: {seconds:.1f} s ({STUDY_LIMIT_S:.0f})")
        failed |= seconds > STUDY_LIMIT_S
    sys.exit(failed or per_task > TASK_LIMIT_S)


if __name__ == "__main__":
    environment.prepare()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        os.environ["PREFECT_HOME"] = str(Path(temporary) / "prefect")
        main(Path(temporary))
