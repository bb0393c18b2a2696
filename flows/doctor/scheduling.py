"""Checks of Prefect: the server, who reaches it, pools, workers, runs that are late or dead."""

import os
import urllib.error
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from spinforge.datasets.storage.addresses import redacted
from spinforge.flows.doctor.finding import Finding, Place
from spinforge.flows.doctor.prefect_api import PrefectApi
from spinforge.flows.limits import GPU, POOLS
from spinforge.flows.network import is_loopback
from spinforge.flows.notify import BLOCK


def prefect_server(_: Place) -> Iterator[Finding]:
    """The server that is configured answers, and speaks our version of Prefect."""
    check = "Prefect server"
    api = PrefectApi.configured()
    if api is None:
        yield Finding(check, "ok", "none is set; each command starts a private one on loopback")
        return
    shown = redacted(api.url)
    try:
        api.ask("/health")
        found = str(api.ask("/admin/version"))
    except urllib.error.HTTPError as error:
        remedy = "set PREFECT_API_AUTH_STRING as the server has PREFECT_SERVER_API_AUTH_STRING"
        if error.code not in (401, 403):
            remedy = "look at the server's log; PREFECT_API_URL must end in /api"
        what = f"PREFECT_API_URL={shown} answers with error {error.code}"
        yield Finding(check, "problem", what, remedy)
        return
    except (OSError, ValueError) as error:
        what = f"PREFECT_API_URL={shown} does not answer ({error})"
        remedy = "prefect server start --host 127.0.0.1; or unset PREFECT_API_URL"
        yield Finding(check, "problem", what, remedy)
        return
    import prefect

    if found.partition(".")[0] != prefect.__version__.partition(".")[0]:
        what = f"{shown} is Prefect {found}, installed is {prefect.__version__}"
        remedy = "install the same version on both sides (requirements.lock)"
        yield Finding(check, "problem", what, remedy)
    else:
        yield Finding(check, "ok", f"{shown} answers, Prefect {found}")


def exposed_server(_: Place) -> Iterator[Finding]:
    """Only this machine reaches the server, or it asks who comes."""
    check = "Prefect's reach"
    api = PrefectApi.configured()
    if api is None or not api.answers():
        return
    parts = urlsplit(api.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    protected = api.asks_who_comes()
    wrong = False
    if not is_loopback(host) and not protected:
        wrong = True
        what = f"{host} is not this machine, and no one is asked for a password there"
        remedy = "set PREFECT_SERVER_API_AUTH_STRING there, PREFECT_API_AUTH_STRING here"
        yield Finding(check, "warning", what, remedy)
    if is_loopback(host) and not protected and (address := _public_listener(port)):
        wrong = True
        what = f"the server listens at {address}:{port}: other machines can start code here"
        remedy = "prefect server start --host 127.0.0.1; or docs/security.md"
        yield Finding(check, "warning", what, remedy)
    if not wrong:
        yield Finding(check, "ok", "with a password" if protected else "this machine only")


def _public_listener(port: int) -> str:
    """An address that is not loopback at which a process of this machine listens; or none."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):
        return ""  # macOS tells that to nobody but root
    for connection in connections:
        ours = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if ours and not is_loopback(connection.laddr.ip):
            return str(connection.laddr.ip)
    return ""


def work_pools(_: Place) -> Iterator[Finding]:
    """Each pool that scheduled runs need is there, not paused, and has a worker."""
    api = PrefectApi.configured()
    if api is None or not api.answers():
        return
    deployments = api.ask("/deployments/filter", {"limit": 200}) or []
    scheduled: dict[str, str] = {}
    for deployment in deployments:
        pool, active = deployment.get("work_pool_name"), _is_scheduled(deployment)
        if pool and (active or pool not in scheduled):
            scheduled[pool] = deployment["name"] if active else ""
    pools = {pool["name"]: pool for pool in api.ask("/work_pools/filter", {}) or []}
    wrong = 0
    for name in dict.fromkeys([*POOLS, *scheduled]):
        for finding in _pool(api, name, pools.get(name), scheduled.get(name, "")):
            wrong += 1
            yield finding
    if not wrong:
        yield Finding("work pools", "ok", ", ".join(sorted(pools)))


def _is_scheduled(deployment: dict[str, Any]) -> bool:
    active = any(schedule.get("active") for schedule in deployment.get("schedules") or [])
    return active and not deployment.get("paused")


def _pool(
    api: PrefectApi, name: str, pool: dict[str, Any] | None, scheduled: str
) -> Iterator[Finding]:
    """What keeps the runs of one pool from starting; worse if a schedule counts on it."""
    status = "problem" if scheduled else "warning"
    whom = f"; {scheduled} will not run" if scheduled else ""
    if pool is None:
        what = f"there is no pool {name!r}{whom}"
        remedy = f"spinforge serve makes it; or prefect work-pool create {name} --type process"
    elif pool.get("is_paused"):
        what = f"pool {name!r} is paused{whom}"
        remedy = f"prefect work-pool resume {name}"
    elif pool.get("concurrency_limit") == 0:
        what = f"pool {name!r} lets 0 runs start{whom}"
        remedy = f"prefect work-pool set-concurrency-limit {name} 1"
    elif pool.get("default_queue_id") in _paused_queues(api, name):
        what = f"the default queue of pool {name!r} is paused{whom}"
        remedy = f"prefect work-queue resume default --pool {name}"
    elif not _has_worker(api, name):
        what = f"pool {name!r} has no live worker{whom}"
        remedy = f"prefect worker start --pool {name}; spinforge serve starts one too"
    else:
        return
    yield Finding("work pools", status, what, remedy)  # type: ignore[arg-type]


def _paused_queues(api: PrefectApi, pool: str) -> set[str]:
    queues = api.ask(f"/work_pools/{pool}/queues/filter", {}) or []
    return {queue["id"] for queue in queues if queue.get("is_paused")}


def _has_worker(api: PrefectApi, pool: str) -> bool:
    workers = api.ask(f"/work_pools/{pool}/workers/filter", {}) or []
    return any(worker["status"] == "ONLINE" for worker in workers)


def gpu_limit(_: Place) -> Iterator[Finding]:
    """One job at a time uses the GPU: the limit of its tag is there."""
    api = PrefectApi.configured()
    if api is None or not api.answers():
        return
    limit = api.ask(f"/concurrency_limits/tag/{GPU}")
    if limit is None:
        what = f"tag {GPU!r} has no limit, so two trainings may share one GPU's memory"
        remedy = f"spinforge serve sets it; or prefect concurrency-limit create {GPU} 1"
        yield Finding("GPU limit", "warning", what, remedy)
        return
    if limit["concurrency_limit"] == 0:
        what = f"tag {GPU!r} lets 0 tasks run, so whatever trains on a GPU waits for ever"
        remedy = f"prefect global-concurrency-limit update tag:{GPU} --limit 1"
        yield Finding("GPU limit", "problem", what, remedy)
        return
    yield Finding("GPU limit", "ok", f"{limit['concurrency_limit']} at a time")


def late_runs(_: Place) -> Iterator[Finding]:
    """Nothing that should have started is waiting."""
    api = PrefectApi.configured()
    if api is None or not api.answers():
        return
    body = {"flow_runs": {"state": {"name": {"any_": ["Late"]}}}, "limit": 200}
    late = api.ask("/flow_runs/filter", body) or []
    if late:
        first = min(late, key=lambda run: run["expected_start_time"])
        what = (
            f"{len(late)} runs are late, the first ({first['name']}) since "
            f"{first['expected_start_time'][:16]}"
        )
        remedy = "start a worker for their pool, or delete them in Prefect's page"
        yield Finding("late runs", "problem", what, remedy)
    else:
        yield Finding("late runs", "ok", "none")


def running_without_worker(place: Place) -> Iterator[Finding]:
    """What Prefect calls running has a worker; a run that is killed with it stays "Running"."""
    api = PrefectApi.configured()
    if api is None or not api.answers():
        return
    body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "limit": 200}
    running = [run for run in api.ask("/flow_runs/filter", body) or [] if run.get("work_pool_name")]
    alive = {name: _has_worker(api, name) for name in {run["work_pool_name"] for run in running}}
    dead = [run for run in running if not alive[run["work_pool_name"]]]
    for run in dead:
        what = (
            f"{run['name']} is called running since {str(run['start_time'])[:16]}, but pool "
            f"{run['work_pool_name']!r} has no live worker: it was killed too, or goes on alone"
        )
        remedy = f"spinforge prune {place.runs} --yes tells Prefect if it was; then run it again"
        yield Finding("running runs", "warning", what, remedy)
    if not dead:
        yield Finding("running runs", "ok", f"{len(running)} in pools, each with a worker")


def notifications(_: Place) -> Iterator[Finding]:
    """The block that is told of failures is there."""
    api, slug = PrefectApi.configured(), os.environ.get(BLOCK)
    if slug is None or api is None or not api.answers():
        return
    kind, _slash, name = slug.partition("/")
    if api.ask(f"/block_types/slug/{kind}/block_documents/name/{name}") is None:
        what = f"{BLOCK}={slug} names no block of the server, so nobody is told of a failed run"
        remedy = "make it in Prefect's page under Blocks, or name one that is there"
        yield Finding("notifications", "problem", what, remedy)
        return
    yield Finding("notifications", "ok", slug)
