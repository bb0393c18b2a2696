"""`spinforge doctor` finds what is planted, says what to do, and nothing where all is well."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

from doctor_patients import (
    add_run,
    add_set,
    date_in_the_future,
    fake_package,
    leave_behind,
    locked,
    mlflow_record,
    truncate,
)
from planted_server import free_port

from spinforge.flows.run_folder import RunFolder

# What is planted: the line of the table, its status, and words of what and remedy.
PLANTED = [
    ("requirements", "problem", "fastapi 0.160.0 is installed", "pip install"),
    ("module names", "problem", "skimage, which hides", "rename it"),
    ("compiled packages", "problem", "skimage.metrics cannot be imported", "--force-reinstall"),
    ("open files", "problem", "may open 200 files", "ulimit -n 4096"),
    ("cores", "warning", "OMP_NUM_THREADS=500", "unset OMP_NUM_THREADS"),
    ("encoding", "warning", "files and notes are UTF-8", "LC_ALL=C.UTF-8"),
    ("Prefect server", "problem", "does not answer", "prefect server start"),
    ("MLflow record", "problem", "mlflow.db is locked", "fuser"),
    ("Dask", "problem", "no scheduler at tcp://127.0.0.1", "dask scheduler"),
    ("MLflow record", "problem", "does not answer", "start the server"),
    ("study files", "problem", "unknown key. Did you mean `seed`", "repair"),
    ("temporary files", "warning", ".network.pt.tmp-", "spinforge prune"),
    ("file times", "warning", "dated in the future", "set the clock"),
    ("data sets", "problem", "is missing or damaged", "spinforge verify"),
    ("secrets", "problem", "study.yaml, line 2: holds a password", "environment"),
]


def doctor(*arguments, env, before="", cwd):
    """The command in a process of its own, with --json: exit code and findings."""
    code = "from spinforge.flows.cli import main; main()"
    command = f'{before} exec "$@"'
    done = subprocess.run(
        ["bash", "-c", command, "-", sys.executable, "-c", code, "doctor", *arguments, "--json"],
        env={key: value for key, value in env.items() if value is not None},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def is_found(planted, findings):
    check, status, what, remedy = planted
    return any(
        found["check"] == check
        and found["status"] == status
        and what in found["what"]
        and remedy in found["remedy"]
        for found in findings
    )


def test_it_finds_what_is_planted_and_says_what_to_do(tmp_path):
    runs, packages = tmp_path / "runs", tmp_path / "packages"
    fake_package(packages, "fastapi", "0.160.0")
    (packages / "skimage").mkdir()
    (packages / "skimage" / "__init__.py").write_text("")
    closed = free_port()
    secret = "s3cret-9f1"
    add_run(runs, "dask", f"name: dask\ndask: {{address: tcp://127.0.0.1:{closed}}}\n")
    add_run(runs, "record", f"name: record\ntracking: {{uri: 'http://127.0.0.1:{closed}'}}\n")
    add_run(runs, "typo", "name: typo\nsed: 3\n")
    add_run(runs, "told", f"name: told\ntracking: {{uri: 'http://user:{secret}@localhost'}}\n")
    killed = add_run(runs, "killed")
    leave_behind(killed)
    date_in_the_future(killed / "study.yaml")
    truncate(add_set(killed) / "kspace" / "zarr.json")
    with ExitStack() as held:
        held.enter_context(locked(mlflow_record(runs / "mlflow.db")))
        code, findings = doctor(
            str(runs),
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")]),
                "PREFECT_API_URL": f"http://127.0.0.1:{closed}/api",
                "OMP_NUM_THREADS": "500",
                "LC_ALL": "C",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
            },
            before="ulimit -n 200;",
            cwd=tmp_path,
        )
    missed = [planted for planted in PLANTED if not is_found(planted, findings)]
    assert not missed, findings
    assert len(PLANTED) >= 10
    assert code == 1
    assert all(found["remedy"] for found in findings if found["status"] == "problem")
    assert secret not in json.dumps(findings)


def test_a_healthy_installation_has_no_problem(finished, tmp_path):
    study, _ = finished
    shutil.copytree(study.out, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "mlartifacts", ignore_errors=True)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    healthy = {"PREFECT_API_URL": None, "OMP_NUM_THREADS": None, "PYTHONWARNINGS": None}
    code, findings = doctor(env=os.environ | healthy, cwd=tmp_path)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    wrong = [found for found in findings if found["status"] in ("warning", "problem")]
    # A small machine is no fault of the installation.
    assert [found for found in wrong if found["check"] not in _ABOUT_THE_MACHINE] == []
    assert code == int(any(found["status"] == "problem" for found in wrong))
    seen = {found["check"]: found["what"] for found in findings}
    assert RunFolder.of(study).store.path.name in seen["data sets"]
    assert "1 valid" in seen["study files"]


_ABOUT_THE_MACHINE = {"runs folder", "TMPDIR", "memory", "shared memory", "open files", "GPU"}
