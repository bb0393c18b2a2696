"""Single checks of `spinforge doctor`, each with what it is there for."""

import base64
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from doctor_patients import (
    LONG_GONE,
    add_run,
    add_set,
    leave_behind,
    mlflow_record,
    newer_schema,
)
from planted_server import free_port
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_PROFILES_PATH,
    temporary_settings,
)

from spinforge.flows.doctor import (
    compiled,
    folders,
    installation,
    machine,
    prefect_api,
    reached,
    record,
    scheduling,
    secrets,
)
from spinforge.flows.doctor.command import place_of
from spinforge.flows.doctor.examine import examine
from spinforge.flows.doctor.finding import Finding, Place
from spinforge.simulation.errors import SpinforgeError


def only(check, place, status="problem") -> Finding:
    """The one finding of a check that is not fine."""
    (finding,) = (found for found in check(place) if found.status != "ok")
    assert finding.status == status
    assert finding.remedy
    return finding


# ---------------------------------------------------------------- the doctor itself


def test_a_check_that_fails_is_a_finding_and_shows_no_secret():
    def careless_check(_):
        raise RuntimeError("cannot open http://me:hunter2@host/x")

    (finding,) = examine(Place(Path("runs")), [careless_check])
    assert finding.check == "careless check"
    assert finding.status == "problem"
    assert finding.what == "the check itself failed: RuntimeError: cannot open http://***@host/x"


def test_a_check_that_hangs_is_given_up_and_the_others_answer():
    def hangs(_):
        time.sleep(30)

    def answers(_):
        yield Finding("answers", "ok", "yes")

    started = time.monotonic()
    given_up, fine = examine(Place(Path("runs")), [hangs, answers], limit_s=0.2)
    assert time.monotonic() - started < 10
    assert (given_up.check, given_up.status) == ("hangs", "problem")
    assert "no answer within" in given_up.what
    assert fine.status == "ok"


def test_a_path_means_a_study_a_run_or_all_runs(tmp_path):
    run = add_run(tmp_path / "runs", "a")
    file = tmp_path / "b.yaml"
    file.write_text(f"out: {tmp_path / 'elsewhere'}\n")
    assert place_of(None) == Place(Path("runs"))
    assert place_of(run.parent) == Place(run.parent)
    assert place_of(run) == Place(run.parent, run / "study.yaml")
    assert place_of(file) == Place(tmp_path / "elsewhere", file)
    with pytest.raises(SpinforgeError, match="nowhere is neither a folder of runs nor a study"):
        place_of(tmp_path / "nowhere")


# ---------------------------------------------------------------- installation


def test_a_clone_without_links_is_named(tmp_path):
    package = tmp_path / "spinforge"
    package.mkdir()
    real = Path(installation.spinforge.__file__).parent
    (package / "__init__.py").write_text((real / "__init__.py").read_text())
    for name in ("simulation", "datasets", "models", "evaluation", "flows"):
        (package / name).write_text(f"../../{name}")  # what Git writes instead of a link

    def start():
        return subprocess.run(
            [sys.executable, "-c", "from spinforge.flows.cli import main; main()", "doctor"],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert "git config core.symlinks true" in start().stderr
    for name in ("simulation", "datasets", "flows"):
        (package / name).unlink()
        (package / name).symlink_to(real / name)
    result = start()  # models and evaluation are still no folders
    assert result.returncode == 1, result.stderr
    assert "evaluation: no folder behind the link" in " ".join(result.stdout.split())


def test_our_bare_folders_in_the_path_are_named(monkeypatch, repository, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(repository))
    found = only(installation.hidden_modules, Place(tmp_path), "warning")
    assert str(repository / "src") in found.remedy


def test_other_versions_than_the_lock_are_only_a_note(monkeypatch, tmp_path):
    (tmp_path / "requirements.lock").write_text("numpy==1.0.0\nzarr==1.0\n")
    monkeypatch.setattr(installation, "_ROOT", tmp_path)
    assert "numpy" in only(installation.locked_versions, Place(tmp_path), "note").what


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = ["nobody-has-this>=1"]\n'
        '[project.optional-dependencies]\nextra = ["nor-this"]\n'
    )
    monkeypatch.setattr(installation, "_ROOT", tmp_path)
    found = only(installation.requirements, Place(tmp_path))
    assert found.what == "nobody-has-this is not installed"


def test_a_module_that_ends_python_is_named(monkeypatch, tmp_path):
    """As a wheel for another processor does: an illegal instruction, and no exception."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    found = only(compiled.compiled_packages, Place(tmp_path))
    assert found.what == "importing torch ends Python itself (SIGILL)"
    assert "torch" in found.remedy


@pytest.mark.parametrize(
    ("build", "available", "is_there", "status", "what"),
    [
        ("12.8", True, True, "ok", "H200, CUDA 12.8"),
        ("12.8", False, True, "problem", "cannot use it: driver is too old"),
        ("12.8", False, False, "note", "none, although"),
        (None, False, True, "warning", "build for the CPU"),
        (None, False, False, "ok", "none; everything runs on the CPU"),
    ],
)
def test_pytorch_driver_and_gpu_fit(build, available, is_there, status, what, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = compiled.gpu(build, available, "driver is too old", "H200", is_there)
    assert found.status == status
    assert what in found.what


# ---------------------------------------------------------------- machine


def test_a_full_disk_is_found(monkeypatch, tmp_path):
    little = machine._NO_DISK - 1
    usage = machine.shutil.disk_usage(tmp_path)._replace(free=little)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(machine, "_free_inodes", lambda _: None)
    found = list(machine.disks(Place(tmp_path)))
    assert [finding.status for finding in found] == ["problem", "problem"]
    assert all("the disk is full" in finding.what for finding in found)
    monkeypatch.undo()
    monkeypatch.setattr(machine, "_free_inodes", lambda _: 3)
    assert all("only 3 more files fit" in found.what for found in machine.disks(Place(tmp_path)))


def test_a_file_in_the_way_of_the_runs_is_found(tmp_path):
    (tmp_path / "runs").write_text("")
    found = next(iter(machine.disks(Place(tmp_path / "runs" / "deeper"))))
    assert (found.status, found.check) == ("problem", "runs folder")
    assert "is a file" in found.what


def test_a_folder_that_must_not_be_written_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.os, "access", lambda *_, **__: False)  # root may write anywhere
    found = next(iter(machine.disks(Place(tmp_path))))
    assert (found.status, found.check) == ("problem", "runs folder")
    assert found.what == f"no permission to write {tmp_path}"


def test_the_shared_memory_that_docker_gives_is_found(monkeypatch, tmp_path):
    usage = machine.shutil.disk_usage(tmp_path)._replace(free=64 * 2**20)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    found = [f for f in machine.memory(Place(tmp_path)) if f.check == "shared memory"]
    assert [finding.status for finding in found] == ["warning"]
    assert "--shm-size" in found[0].remedy


def test_a_container_without_memory_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_memory_limit", lambda: 2**29)
    found = next(iter(machine.memory(Place(tmp_path))))
    assert found.status == "warning"
    assert found.what == "little: 0.5 GiB available under this container's or job's limit"


def test_more_workers_than_cores_are_found(monkeypatch, tmp_path):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "s.yaml"
    file.write_text("workers: 200\n")
    found = only(machine.cores, Place(tmp_path, file), "warning")
    assert found.remedy == f"--set workers={machine.usable_cores()}"


# ---------------------------------------------------------------- services


def test_pools_limits_and_workers_of_a_real_server(prefect_server, tmp_path):
    place = Place(tmp_path)
    (answer,) = scheduling.prefect_server(place)
    assert answer.status == "ok"
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="cpu", type="process", is_paused=True))
        try:
            found = {finding.what: finding for finding in scheduling.work_pools(place)}
            assert found["pool 'cpu' is paused"].remedy == "prefect work-pool resume cpu"
            missing = found["there is no pool 'gpu'"]
            assert missing.remedy.endswith("prefect work-pool create gpu --type process")
            client.update_work_pool("cpu", WorkPoolUpdate(is_paused=False, concurrency_limit=0))
            found = {finding.what: finding for finding in scheduling.work_pools(place)}
            assert "pool 'cpu' lets 0 runs start" in found
            client.update_work_pool("cpu", WorkPoolUpdate(concurrency_limit=1))
            queue = client.read_work_pool("cpu").default_queue_id
            client.update_work_queue(queue, is_paused=True)
            found = {finding.what: finding for finding in scheduling.work_pools(place)}
            paused = found["the default queue of pool 'cpu' is paused"]
            assert paused.remedy == "prefect work-queue resume default --pool cpu"
        finally:
            client.delete_work_pool("cpu")
        remedy = only(scheduling.gpu_limit, place, "warning").remedy
        assert remedy.endswith("prefect concurrency-limit create gpu 1")
        client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name="tag:gpu", limit=1)
        )
        try:
            assert next(iter(scheduling.gpu_limit(place))).what == "1 at a time"
            client.update_global_concurrency_limit("tag:gpu", GlobalConcurrencyLimitUpdate(limit=0))
            assert "lets 0 tasks run" in only(scheduling.gpu_limit, place).what
        finally:
            client.delete_global_concurrency_limit_by_name("tag:gpu")


def test_a_notification_block_that_is_not_there_is_found(prefect_server, tmp_path, monkeypatch):
    monkeypatch.setenv("SPINFORGE_NOTIFY", "slack-webhook/none")
    found = only(scheduling.notifications, Place(tmp_path))
    assert found.what.startswith("SPINFORGE_NOTIFY=slack-webhook/none names no block")


@contextmanager
def served(answers, host="127.0.0.1", password="", strict=True):
    """A server that knows these answers by path, and who comes if it is strict; its port."""
    wanted = f"Basic {base64.b64encode(password.encode()).decode()}" if password else None

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = json.dumps(answers.get(self.path)).encode()
            is_known = not strict or self.headers["Authorization"] == wanted
            self.send_response((200 if self.path in answers else 404) if is_known else 401)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def configured(port):
    return temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"})


def test_a_server_of_another_version_that_everybody_reaches_is_found(tmp_path):
    answers = {"/api/health": True, "/api/admin/version": "2.20.1"}
    with served(answers, host="0.0.0.0") as port, configured(port):
        old = only(scheduling.prefect_server, Place(tmp_path))
        open_to_all = only(scheduling.exposed_server, Place(tmp_path), "warning")
    assert "is Prefect 2.20.1, installed is 3." in old.what
    assert f"listens at 0.0.0.0:{port}" in open_to_all.what
    with served(answers) as port, configured(port):
        (fine,) = scheduling.exposed_server(Place(tmp_path))
    assert fine.status == "ok"


def test_a_server_that_asks_for_a_password_says_how_to_give_it(tmp_path):
    secret = "user:hunter2"
    answers = {"/api/health": True, "/api/admin/version": "3.8.8"}
    with served(answers, password=secret) as port:
        with configured(port):
            refused = only(scheduling.prefect_server, Place(tmp_path))
            assert list(scheduling.work_pools(Place(tmp_path))) == []
        with configured(port), temporary_settings({PREFECT_API_AUTH_STRING: secret}):
            (fine,) = scheduling.prefect_server(Place(tmp_path))
            (reach,) = scheduling.exposed_server(Place(tmp_path))
    assert "answers with error 401" in refused.what
    assert "PREFECT_API_AUTH_STRING" in refused.remedy
    assert (fine.status, reach.what) == ("ok", "with a password")
    assert "hunter2" not in str([refused, fine, reach])


def test_a_password_that_we_send_and_nobody_asks_for_protects_nothing(tmp_path):
    answers = {"/api/health": True, "/api/admin/version": "3.8.8"}
    sent = {PREFECT_API_AUTH_STRING: "user:hunter2"}
    with served(answers, host="0.0.0.0", strict=False) as port, configured(port):
        with temporary_settings(sent):
            open_to_all = only(scheduling.exposed_server, Place(tmp_path), "warning")
    assert f"listens at 0.0.0.0:{port}" in open_to_all.what


def test_a_server_elsewhere_is_not_judged_by_the_ports_of_this_machine(tmp_path, monkeypatch):
    def answer(url, *_):
        return '"3.8.8"'

    monkeypatch.setattr(prefect_api, "get", answer)
    asked = []
    monkeypatch.setattr(scheduling, "_public_listener", lambda port: asked.append(port) or "::")
    for address, ports in (("http://10.0.0.9/api", []), ("http://127.0.0.1/api", [80])):
        with temporary_settings({PREFECT_API_URL: address}):
            only(scheduling.exposed_server, Place(tmp_path), "warning")
        assert asked == ports


def test_late_and_dead_runs_and_pools_that_schedules_count_on_are_found(tmp_path):
    run = {
        "id": "12ab",
        "name": "night-owl",
        "expected_start_time": "2026-11-01T03:00:00Z",
        "start_time": "2026-11-01T03:00:00Z",
        "work_pool_name": "cpu",
    }
    deployment = {
        "name": "nightly",
        "work_pool_name": "cpu",
        "schedules": [{"active": True}],
        "paused": False,
    }
    answers = {
        "/api/health": True,
        "/api/flow_runs/filter": [run],
        "/api/deployments/filter": [deployment],
        "/api/work_pools/filter": [{"name": "cpu"}, {"name": "gpu"}],
        "/api/work_pools/cpu/workers/filter": [{"status": "OFFLINE"}],
        "/api/work_pools/gpu/workers/filter": [{"status": "ONLINE"}],
    }
    with served(answers) as port, configured(port):
        late = only(scheduling.late_runs, Place(tmp_path))
        dead = only(scheduling.running_without_worker, Place(tmp_path), "warning")
        pool = only(scheduling.work_pools, Place(tmp_path))
    assert "1 runs are late, the first (night-owl) since 2026-11-01T03:00" in late.what
    assert "or goes on alone" in dead.what
    assert dead.remedy.startswith(f"spinforge prune {tmp_path} --yes")
    assert pool.what == "pool 'cpu' has no live worker; nightly will not run"


@pytest.mark.parametrize(
    ("revision", "what", "remedy"),
    [
        ("0a8213491aaa", "is of an older MLflow", "mlflow db upgrade sqlite:///"),
        ("fffffffffff1", "is of a newer MLflow", "pip install -U mlflow"),
    ],
)
def test_a_record_of_another_mlflow_is_found(revision, what, remedy, tmp_path):
    mlflow_record(tmp_path / "mlflow.db", revision)
    found = only(record.mlflow_files, Place(tmp_path))
    assert what in found.what
    assert remedy in found.remedy


def test_a_damaged_record_is_found_and_a_whole_one_is_not_touched(tmp_path):
    path = mlflow_record(tmp_path / "mlflow.db")
    before = path.read_bytes(), path.stat().st_mtime_ns
    (found,) = record.mlflow_files(Place(tmp_path))
    assert found.status == "ok"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    path.write_bytes(before[0][:100] + b"\xff" * 4000 + before[0][4100:])
    assert "is damaged" in only(record.mlflow_files, Place(tmp_path)).what
    path.write_bytes(b"no database at all" * 100)
    assert "is damaged" in only(record.mlflow_files, Place(tmp_path)).what


def test_the_newest_schema_is_the_one_that_mlflow_writes(finished):
    study, _ = finished
    (found,) = record.mlflow_files(Place(study.out))
    assert found.status == "ok"
    assert "schema of MLflow 3." in found.what


def test_databases_and_stores_that_do_not_answer_are_found(tmp_path, monkeypatch):
    port = free_port()
    add_run(tmp_path, "a", f"tracking: {{uri: 'postgresql://me@127.0.0.1:{port}/mlflow'}}\n")
    assert "Connection refused" in only(record.mlflow_servers, Place(tmp_path)).what
    add_run(tmp_path, "a", "dataset: nothing://bucket/set.zarr\n")
    assert "is no protocol" in only(reached.object_stores, Place(tmp_path)).what
    add_run(tmp_path, "a", "dataset: memory://set.zarr\n")
    (found,) = reached.object_stores(Place(tmp_path))
    assert found.status == "ok"


# ---------------------------------------------------------------- runs


def test_a_set_of_a_newer_spinforge_is_found(tmp_path):
    newer_schema(add_set(add_run(tmp_path, "a")))
    found = only(folders.data_sets, Place(tmp_path))
    assert "schema version 99, newer than this Spinforge reads" in found.what


def test_only_deep_reads_every_byte(tmp_path):
    dataset = add_set(add_run(tmp_path, "a"))
    (whole,) = folders.data_sets(Place(tmp_path))
    assert whole.status == "ok"
    chunk = next(p for p in (dataset / "kspace/head-000/target/c").rglob("*") if p.is_file())
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    assert next(iter(folders.data_sets(Place(tmp_path)))).status == "ok"
    assert "was changed" in only(folders.data_sets, Place(tmp_path, deep=True)).what


def test_killed_and_living_runs_are_told_apart(tmp_path):
    note = {"pid": LONG_GONE, "host": socket.gethostname(), "since": "2026-11-01T03:00:00+00:00"}
    (add_run(tmp_path, "dead") / ".run.json").write_text(json.dumps(note))
    (add_run(tmp_path, "alive") / ".run.json").write_text(json.dumps(note | {"pid": os.getpid()}))
    (add_run(tmp_path, "elsewhere") / ".run.json").write_text(json.dumps(note | {"host": "other"}))
    (add_run(tmp_path, "damaged") / ".run.json").write_text("{")
    found = only(folders.killed_runs, Place(tmp_path), "warning")
    assert str(tmp_path / "dead") in found.what


def test_another_study_is_not_the_named_ones_business(tmp_path):
    leave_behind(add_run(tmp_path, "a"))
    file = tmp_path / "b.yaml"
    file.write_text("name: b\n")
    assert [f.status for f in folders.leftovers(Place(tmp_path, file))] == ["ok"]
    file.write_text("name: a\n")
    assert only(folders.leftovers, Place(tmp_path, file), "warning")


# ---------------------------------------------------------------- secrets


def test_passwords_in_notes_and_deployments_are_found_but_not_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = add_run(tmp_path, "a")
    assert [f.status for f in secrets.secrets_in_files(Place(tmp_path))] == ["ok"]
    (run / "mlflow.json").write_text('{\n"uri": "https://me:hunter2@host"}\n')
    (run / "mlflow.json").chmod(0o644)
    Path("prefect.yaml").write_text("# x\n\nuri: postgresql://me:hunter2@host/db\n")
    Path("prefect.yaml").chmod(0o600)
    found = list(secrets.secrets_in_files(Place(tmp_path)))
    assert [finding.status for finding in found] == ["problem", "problem"]
    assert "mlflow.json, line 2" in found[0].what
    assert "other users may read" in found[0].what
    assert "prefect.yaml, line 3" in found[1].what
    assert "everybody" not in found[1].what
    assert "hunter2" not in str(found)
    Path("prefect.yaml").write_text("env: {PGPASSWORD: hunter2}\n")
    assert "line 1: holds a password" in list(secrets.secrets_in_files(Place(tmp_path)))[1].what
    Path("prefect.yaml").write_text('env: {PGPASSWORD: "{{ prefect.blocks.secret.pg }}"}\n')
    assert len(list(secrets.secrets_in_files(Place(tmp_path)))) == 1


def test_a_key_of_prefect_that_others_can_read_is_found(tmp_path):
    profiles = tmp_path / "profiles.toml"
    profiles.write_text('[profiles.default]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"\n')
    profiles.chmod(0o644)
    with temporary_settings({PREFECT_PROFILES_PATH: profiles}):
        assert list(secrets.prefect_profile(Place(tmp_path))) == []
        profiles.write_text('[profiles.default]\nPREFECT_API_KEY = "hunter2"\n')
        found = only(secrets.prefect_profile, Place(tmp_path), "warning")
        assert found.remedy == f"chmod 600 {profiles}"
        assert "hunter2" not in str(found)
        profiles.chmod(0o600)
        assert list(secrets.prefect_profile(Place(tmp_path))) == []
