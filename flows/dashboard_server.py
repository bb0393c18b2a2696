"""Serve a page of the dashboard: on loopback, without telemetry or any request to elsewhere."""

import importlib.util
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from spinforge.simulation.errors import SpinforgeError

LOOPBACK = "127.0.0.1"


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


def check_free(
    host: str, port: int, *, option: str = "--port", who: str = "Another dashboard"
) -> None:
    """Find a port that is taken, or a host that is not ours.

    Args:
        host: Address to listen at.
        port: Likewise.
        option: Of the command line, that chooses the port.
        who: May have taken it.

    Raises:
        SpinforgeError: If nothing can be served there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a connection that was just closed does not keep the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise SpinforgeError(
            f"--host {host}: no such address ({error.strerror}). Leave it out for {LOOPBACK}"
        ) from error
    except OSError as error:
        raise SpinforgeError(
            f"port {port} of {host} cannot be used ({error.strerror}). {who} may run there; "
            f"choose another port, such as {option} {port + 1 if port < 65535 else 8501}"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
