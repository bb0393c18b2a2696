"""The command that serves what scheduled runs need."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    out: Annotated[
        Path,
        typer.Argument(metavar="[OUT]", help="Folder of the runs, whose MLflow record is shown."),
    ] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Prefect's page.")] = 4200,
    mlflow_port: Annotated[
        int, typer.Option("--mlflow-port", min=1, max=65535, help="Port of MLflow's page.")
    ] = 5000,
    host: Annotated[
        str, typer.Option(help="Address to serve at; others than this machine reach most of them.")
    ] = "127.0.0.1",
    workers: Annotated[
        bool, typer.Option("--workers/--no-workers", help="Also run the pools' workers here.")
    ] = True,
) -> None:
    """Serve Prefect and MLflow with a worker for each pool, until Ctrl-C.

    Makes the work pools `cpu` and `gpu` and lets one GPU task run at a time. Then, elsewhere:
    `prefect deploy --all`. docs/operations.md has the whole set-up.

    Example: `spinforge serve runs`
    """
    from spinforge.flows.network import is_loopback
    from spinforge.flows.serve import Serving
    from spinforge.flows.serve import serve as serve_all

    if not is_loopback(host):
        typer.secho(
            f"warning: {host} can be reached from other machines. Whoever reaches Prefect's server "
            f"can run programs here, and nobody is asked for a password unless you set "
            f"PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING; MLflow asks nobody.",
            fg=typer.colors.YELLOW,
            err=True,
        )
    serve_all(Serving(out=out, host=host, port=port, mlflow_port=mlflow_port, workers=workers))
