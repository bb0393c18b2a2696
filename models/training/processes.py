"""Several processes that train one network: how they are started, and how they find each other.

On one machine `train_network` starts them itself. On several, start the same program on each with
`torchrun`, which sets the environment variables that are read here:

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 my.py

where each process calls `train_network` with the same arguments, `devices` 4 and `nodes` 2, and a
folder that all machines share. `flows/train_with_torchrun.py` does so for a study file.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessException,
    ProcessExitedException,
    start_processes,
)

from spinforge.simulation.errors import SpinforgeError

GRACE_SECONDS = 10.0
"""What a process gets to end by itself before it is ended."""


def is_one_of_several() -> bool:
    """Whether this process was started as one of several, by torchrun or by `start_together`."""
    return dist.is_available() and dist.is_torchelastic_launched()


def start_together(function: Callable[..., object], *args: Any, count: int) -> None:
    """Call a function in several new processes of this machine, and wait until all have ended.

    They end with this one, however it ends.

    Args:
        function: To be imported by name; what it returns is lost.
        args: Its arguments; tensors on the processor are shared, not copied.
        count: Number of processes, which share the processor's threads.

    Raises:
        SpinforgeError: That of the process that failed first, or if one was killed.
        ProcessRaisedException: For any other error, with its traceback.
    """
    messages = mp.get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    processes = start_processes(
        _enter,
        args=(count, _free_port(), threads, messages, function, args),
        nprocs=count,
        join=False,
        start_method="spawn",
    )
    assert processes is not None
    try:
        while not processes.join(grace_period=GRACE_SECONDS):
            pass
    except ProcessException as error:
        if not messages.empty():
            raise SpinforgeError(messages.get()) from error
        if isinstance(error, ProcessExitedException):
            raise SpinforgeError(
                f"a process of the training was ended: {error}; run again to go on after its "
                f"last whole epoch"
            ) from error
        raise
    finally:
        _end(processes)


def _enter(
    number: int,
    count: int,
    port: int,
    threads: int,
    messages: Any,
    function: Callable[..., object],
    args: tuple[Any, ...],
) -> None:
    """Be process `number` of `count`, as torchrun would tell it."""
    os.environ |= {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "spinforge",
    }
    torch.set_num_threads(threads)
    try:
        function(*args)
    except SpinforgeError as error:
        messages.put(str(error))
        raise SystemExit(1) from error
    leave()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _end(processes: ProcessContext) -> None:
    """End what still runs, after an error or Ctrl-C; each has its last checkpoint on the disk."""
    for process in processes.processes:
        if process.is_alive():
            process.join(GRACE_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Connect to the other processes, if this is one of several; gives its own device.

    The connection is kept for the next training: through torchrun's store, which outlives it,
    there could be no second one. `leave` ends it.
    """
    if not is_one_of_several():
        yield device
        return
    own = device
    if device.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    yield own
    dist.barrier()  # the first process has written its files; after an error nobody might come


def leave() -> None:
    """End the connection of a process that was one of several, after its last training."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def require_announced(devices: int, nodes: int) -> None:
    """Refuse a number of processes that is not the recipe's.

    Raises:
        SpinforgeError: If torchrun started more or fewer, or several machines were announced
            without it.
    """
    if is_one_of_several():
        started = int(os.environ["WORLD_SIZE"])
        if started != devices * nodes:
            raise SpinforgeError(
                f"{started} processes were started, but training.devices is {devices} and "
                f"training.nodes is {nodes}; make their product {started}"
            )
    elif nodes > 1:
        raise SpinforgeError(
            f"training.nodes is {nodes}: start the same command on each machine with torchrun "
            f"--nnodes {nodes} --nproc-per-node {devices}, or set training.nodes to 1"
        )
