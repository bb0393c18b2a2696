"""Everything that scheduled runs need, on this machine: two servers with their pages, two workers.

    Prefect's server   schedules, states, logs       http://127.0.0.1:4200
    MLflow's server    curves, networks, registry    http://127.0.0.1:5000
    worker cpu, gpu    one process a flow run

Prefect's database is Prefect's own, ~/.prefect/prefect.db unless $PREFECT_HOME or
$PREFECT_API_DATABASE_CONNECTION_URL say otherwise, so runs by hand stand on the same page. MLflow's
record is that of the runs' folder.
"""

import os
import socket
import time
from pathlib import Path
from typing import Any

from spinforge.flows.limits import GPU, POOLS
from spinforge.flows.network import LOOPBACK, check_free, is_loopback
from spinforge.flows.progress import say
from spinforge.flows.services import Services, running
from spinforge.simulation.config import Config

_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}


class Serving(Config):
    """What is served where.

    Attributes:
        out: Folder of the runs, whose MLflow record is shown.
        host: Address at which both servers listen.
        port: Of Prefect's server.
        mlflow_port: Of MLflow's.
        workers: Whether to start a worker for each pool.
    """

    out: Path = Path("runs")
    host: str = LOOPBACK
    port: int = 4200
    mlflow_port: int = 5000
    workers: bool = True


def serve(serving: Serving) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        SpinforgeError: If a port is taken, or one of the programs ends by itself.
    """
    check_free(serving.host, serving.port, option="--port", who="Another server")
    check_free(serving.host, serving.mlflow_port, option="--mlflow-port", who="Another server")
    env, page = environment_of(serving), f"http://{_reached(serving.host)}"
    with running() as services:
        _start_servers(services, serving, env)
        services.wait_for(f"{env['PREFECT_API_URL']}/health")
        prepare_pools(env["PREFECT_API_URL"])
        services.wait_for(f"http://{_here(serving.host)}:{serving.mlflow_port}/health")
        for pool in POOLS if serving.workers else ():
            name = f"{socket.gethostname()}-{pool}"
            arguments = ["worker", "start", "--pool", pool, "--name", name]
            services.start(f"worker {pool}", "prefect", arguments, env)
        say(f"Prefect   {page}:{serving.port}")
        say(f"MLflow    {page}:{serving.mlflow_port}")
        say(f"pools     {', '.join(POOLS)}{'' if serving.workers else ' (no workers here)'}")
        say(f"elsewhere export PREFECT_API_URL={page}:{serving.port}/api")
        while True:
            services.require_alive()
            time.sleep(0.5)


def environment_of(serving: Serving) -> dict[str, str]:
    """Environment of the servers and workers.

    What the user has set wins over the defaults, but not over where each is found and how.
    """
    page = f"http://{_reached(serving.host)}:{serving.port}"
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Events are most of the database; runs are kept for `spinforge prune` to judge.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P3D",
        # By default any page that is open in a browser may ask the server.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": page,
    }
    if not is_loopback(serving.host):
        defaults |= _mlflow_names(f"{_reached(serving.host)}:{serving.mlflow_port}")
    settled = {
        # Of the workers here, who need not know the name under which others find us.
        "PREFECT_API_URL": f"http://{_here(serving.host)}:{serving.port}/api",
        "PREFECT_UI_URL": page,
        # --port alone would leave the page asking port 4200.
        "PREFECT_SERVER_API_HOST": serving.host,
        "PREFECT_SERVER_API_PORT": str(serving.port),
        "PREFECT_SERVER_UI_API_URL": f"{page}/api",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        # Its jobs, of language models, take eight processes and 2 GB.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return defaults | os.environ | settled


def prepare_pools(api_url: str) -> None:
    """Make the work pools and the limit of one GPU task at a time, unless they are there.

    Args:
        api_url: Of Prefect's server.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import (
        GlobalConcurrencyLimitCreate,
        WorkPoolCreate,
    )
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.workers.process import ProcessWorker

    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        for name, limit in POOLS.items():
            try:
                client.create_work_pool(
                    WorkPoolCreate(
                        name=name,
                        type="process",
                        concurrency_limit=limit,
                        # Else every worker writes it at its start, all at once.
                        base_job_template=ProcessWorker.get_default_base_job_template(),
                    )
                )
            except ObjectAlreadyExists:
                continue
        try:
            client.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name=f"tag:{GPU}", limit=1)
            )
        except ObjectAlreadyExists:
            free_gpu_slots(client)


def free_gpu_slots(client: Any) -> None:
    """Free the slots of GPU tasks that nobody can hold any more.

    The server's memory has who holds them, its database how many are taken: what was taken when the
    server was killed, nobody gives back. While a run or a worker may still live, we cannot tell.

    Args:
        client: Of Prefect's server.
    """
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    name = f"tag:{GPU}"
    if not client.read_global_concurrency_limit_by_name(name).active_slots:
        return
    at_work = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING])
    state = FlowRunFilter(state=FlowRunFilterState(type=at_work))
    run = next((run.name for run in client.read_flow_runs(flow_run_filter=state, limit=1)), None)
    workers = [found for pool in POOLS for found in client.read_workers_for_work_pool(pool)]
    worker = next((found.name for found in workers if found.status == "ONLINE"), None)
    if run or worker:
        who = f"run {run} is called running" if run else f"worker {worker} is called online"
        say(f"GPU       its slot stays taken, as {who}; docs/operations.md")
        return
    client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=0))


def _start_servers(services: Services, serving: Serving, env: dict[str, str]) -> None:
    services.start("Prefect's server", "prefect", ["server", "start"], env)
    out = serving.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    mlflow = ["server", "--host", serving.host, "--port", str(serving.mlflow_port)]
    mlflow += ["--backend-store-uri", f"sqlite:///{out / 'mlflow.db'}", "--workers", "1"]
    mlflow += ["--artifacts-destination", str(out / "mlartifacts")]
    services.start("MLflow's server", "mlflow", mlflow, env)


def _mlflow_names(address: str) -> dict[str, str]:
    """Let MLflow's page be asked for, and work, under a name; else it answers 403.

    Args:
        address: Name and port.
    """
    from mlflow.server.security_utils import get_default_allowed_hosts

    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join([*get_default_allowed_hosts(), address]),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"http://{address}",
    }


def _reached(host: str) -> str:
    """Under which name pages reach a server that listens at `host`."""
    return socket.gethostname() if host in _EVERYWHERE else _bracketed(host)


def _here(host: str) -> str:
    """Under which name this machine itself does."""
    return _bracketed(_EVERYWHERE.get(host, host))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
