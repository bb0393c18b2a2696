"""Free memory as the kernel and a container's limit give it; both are planted."""

import os

import pytest
import torch

from spinforge.datasets.reading.memory import FREE_SHARE, fits, free_bytes, free_in_machine

GIB = 2**30


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 GiB available, whose process is in the group /a/b."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (groups / "a" / "b").mkdir(parents=True)
    (proc / "meminfo").write_text(
        "MemTotal:       33554432 kB\nMemFree:          1024 kB\nMemAvailable:    8388608 kB\n"
    )
    (proc / "self" / "cgroup").write_text("4:memory:/old\n0::/a/b\n")
    return proc, groups


def limit(group, most, used):
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")


def test_what_is_available_counts_not_what_is_unused(machine):
    assert free_in_machine(*machine) == 8 * GIB


def test_a_limit_of_the_group_or_of_one_above_holds(machine):
    _, groups = machine
    limit(groups / "a" / "b", "max", GIB)
    assert free_in_machine(*machine) == 8 * GIB
    limit(groups / "a" / "b", 6 * GIB, GIB)
    assert free_in_machine(*machine) == 5 * GIB
    limit(groups / "a", 6 * GIB, 4 * GIB)
    assert free_in_machine(*machine) == 2 * GIB
    limit(groups, 3 * GIB, 3 * GIB + 1)  # the kernel may be a little late
    assert free_in_machine(*machine) == 0


def test_elsewhere_all_memory_counts(tmp_path):
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free_in_machine(tmp_path / "none", tmp_path / "none") == total


def test_a_set_may_take_its_share(monkeypatch):
    cpu = torch.device("cpu")
    assert 0 < free_bytes(cpu) <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr("spinforge.datasets.reading.memory.free_bytes", lambda device: 1000)
    most = int(1000 * FREE_SHARE)
    assert fits(most, cpu)
    assert not fits(most + 1, cpu)
