"""How much memory is free, and whether a set fits into it."""

import os
from pathlib import Path

import torch

FREE_SHARE = 0.5
"""Share of the free memory a set may take; the rest is for the network and its gradients, and for
the parts of the set while they are put together."""


def fits(n_bytes: int, device: torch.device) -> bool:
    """Whether a set of this size leaves a device enough memory to train on it."""
    return n_bytes <= FREE_SHARE * free_bytes(device)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device, or in this machine for the processor [byte]."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_in_machine(Path("/proc"), Path("/sys/fs/cgroup"))


def free_in_machine(proc: Path, groups: Path) -> int:
    """Memory to be had without swapping, or what is left of a container's limit [byte].

    Args:
        proc: Where the kernel's process files are; without them all memory counts as free.
        groups: Where control groups (version 2) are; the page cache counts as used there, so a
            container may stream a set that it could have held.
    """
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    for line in _lines(proc / "self" / "cgroup"):
        if line.startswith("0::"):
            group = groups / line[3:].strip("/")
            # A limit on any group above holds as well.
            above = [folder for folder in group.parents if folder.is_relative_to(groups)]
            free = min([free, *(left for folder in (group, *above) for left in _left(folder))])
    return max(0, free)


def _left(group: Path) -> list[int]:
    """What a group's limit leaves [byte]; nothing if it has none."""
    limit, used = _lines(group / "memory.max"), _lines(group / "memory.current")
    if not limit or not used or limit[0] == "max":
        return []
    return [int(limit[0]) - int(used[0])]


def _lines(file: Path) -> list[str]:
    """Lines of a file of the kernel's; none if this system does not have it."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
