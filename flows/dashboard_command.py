"""The command that serves the live dashboard."""

from pathlib import Path
from typing import Annotated

import typer

from spinforge.simulation.errors import SpinforgeError


def dashboard(
    out: Annotated[
        Path, typer.Argument(metavar="[OUT]", help="Folder that holds the folders of all runs.")
    ] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve at.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to serve at; others than this machine reach most of them.")
    ] = "127.0.0.1",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve the live dashboard of robustness studies on this machine, until Ctrl-C.

    Needs `spinforge[dashboard]`. It reads the studies' tables and MLflow's record, writes nothing
    and asks nothing of the internet.

    Example: `spinforge dashboard runs --port 8600`
    """
    from spinforge.flows.dashboard_server import check_installed, serve
    from spinforge.flows.network import check_free, is_loopback

    check_installed()
    if not out.is_dir():
        raise SpinforgeError(
            f"{out} is no folder. Run a robustness study first, or name the folder of its runs: "
            f"spinforge dashboard OUT"
        )
    check_free(host, port)
    if not is_loopback(host):
        typer.secho(
            f"warning: {host} can be reached from other machines, and nobody is asked for a "
            f"password.",
            fg=typer.colors.YELLOW,
            err=True,
        )
    typer.echo(f"dashboard of {out.resolve()} at http://{host}:{port} (Ctrl-C ends it)", err=True)
    script = Path(__file__).with_name("dashboard_page.py")
    serve(script, [str(out.resolve())], host=host, port=port, open_browser=open_browser)
