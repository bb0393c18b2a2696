"""Serve a page of the dashboard: on loopback, without telemetry or any request to elsewhere."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from spinforge.flows.network import LOOPBACK, is_loopback
from spinforge.simulation.errors import SpinforgeError


def check_installed() -> None:
    """Find a missing extra before anything else.

    Raises:
        SpinforgeError: If Streamlit or Altair is not installed.
    """
    for package in ("streamlit", "altair"):
        if importlib.util.find_spec(package) is None:
            raise SpinforgeError(
                f"the dashboard needs {package}, which is not installed. Run: pip install "
                f'"spinforge[dashboard]"'
            )


def serve(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    host: str = LOOPBACK,
    port: int,
    open_browser: bool = False,
) -> None:
    """Serve a page until Ctrl-C.

    Args:
        script: Python file that Streamlit runs at every interaction.
        arguments: Its command line.
        host: Address to listen at.
        port: Likewise.
        open_browser: Whether to open the page.
    """
    from streamlit import net_util
    from streamlit.web import cli

    # Streamlit asks a service of its cloud for this machine's address when a page of another
    # origin knocks; such a page is turned away without.
    net_util.get_external_ip = lambda: None
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": str(not open_browser).lower(),
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "logger.hideWelcomeMessage": "true",
        "runner.magicEnabled": "false",  # would print texts that stand alone in a script
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.primaryColor": "#1F83C0",  # white text on it is read, and it on dark ground
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    if is_loopback(host):
        # Nor does a page reach it under a name of its own that it lets point here.
        flags += [f"--server.allowedHosts={name}" for name in (host, "localhost")]
    cli.main(
        ["run", *flags, str(script), "--", *arguments],
        prog_name="spinforge dashboard",
        standalone_mode=False,
    )
