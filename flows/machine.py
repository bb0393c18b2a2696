"""Where something was computed, for the record."""

import importlib.metadata
import platform

import torch

_PACKAGES = ("spinforge", "torch", "lightning", "numpy", "zarr")


def machine_facts(device: torch.device) -> dict[str, str]:
    """Processor, GPU, Python and the versions that decide the last bits, as plain text.

    Args:
        device: Where networks are trained.
    """
    facts = {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpu": f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads",
        "device": device.type,
    }
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
    return facts | {f"version.{name}": importlib.metadata.version(name) for name in _PACKAGES}
