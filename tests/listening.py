"""Where a process and all that it has started can be reached."""

import ipaddress

import psutil


def listeners(process: psutil.Process) -> set[str]:
    """Addresses at which a process and those it has started listen."""
    tree = [process, *process.children(recursive=True)]
    connections = [found for each in tree for found in each.net_connections("inet")]
    return {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}


def assert_only_loopback(process: psutil.Process) -> None:
    found = listeners(process)
    assert found
    assert all(ipaddress.ip_address(address).is_loopback for address in found), found
