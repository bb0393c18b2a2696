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

from spinforge.flows.dashboard_server import LOOPBACK, check_free
from spinforge.flows.limits import GPU
from spinforge.flows.progress import say
from spinforge.flows.services import Services, running
from spinforge.simulation.config import Config

POOLS = {"cpu": 2, "gpu": 1}
"""Work pool -> runs at a time; beside a long one in `cpu`, a short one such as prune gets by."""


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
    env, address = environment_of(serving), f"http://{_reached(serving.host)}"
    with running() as services:
        _start_servers(services, serving, env)
        services.wait_for(f"{env['PREFECT_API_URL']}/health")
        prepare_pools(env["PREFECT_API_URL"])
        services.wait_for(f"{address}:{serving.mlflow_port}/health")
        for pool in POOLS if serving.workers else ():
            name = f"{socket.gethostname()}-{pool}"
            arguments = ["worker", "start", "--pool", pool, "--name", name]
            services.start(f"worker {pool}", "prefect", arguments, env)
        say(f"Prefect   {address}:{serving.port}")
        say(f"MLflow    {address}:{serving.mlflow_port}")
        say(f"pools     {', '.join(POOLS)}{'' if serving.workers else ' (no workers here)'}")
        say(f"elsewhere export PREFECT_API_URL={env['PREFECT_API_URL']}")
        while True:
            services.require_alive()
            time.sleep(0.5)


def environment_of(serving: Serving) -> dict[str, str]:
    """Environment of the servers and workers; what the user has set of the defaults wins."""
    address = f"http://{_reached(serving.host)}:{serving.port}"
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Events are most of the database; runs are kept for `spinforge prune` to judge.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P3D",
        # By default any page that is open in a browser may ask the server.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
    }
    settled = {
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_UI_URL": address,
        # --port alone would leave the page asking port 4200.
        "PREFECT_SERVER_API_HOST": serving.host,
        "PREFECT_SERVER_API_PORT": str(serving.port),
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
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
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        for name, limit in POOLS.items():
            try:
                client.create_work_pool(
                    WorkPoolCreate(name=name, type="process", concurrency_limit=limit)
                )
            except ObjectAlreadyExists:
                continue
        try:
            client.read_global_concurrency_limit_by_name(f"tag:{GPU}")
        except ObjectNotFound:
            client.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name=f"tag:{GPU}", limit=1)
            )


def _start_servers(services: Services, serving: Serving, env: dict[str, str]) -> None:
    services.start("Prefect's server", "prefect", ["server", "start"], env)
    out = serving.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    mlflow = ["server", "--host", serving.host, "--port", str(serving.mlflow_port)]
    mlflow += ["--backend-store-uri", f"sqlite:///{out / 'mlflow.db'}", "--workers", "1"]
    mlflow += ["--artifacts-destination", str(out / "mlartifacts")]
    services.start("MLflow's server", "mlflow", mlflow, env)


def _reached(host: str) -> str:
    """Under which name pages reach a server that listens at `host`."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
