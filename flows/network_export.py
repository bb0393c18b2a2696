"""Trained networks of a study as files that other programs run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from spinforge.datasets.products.infant_settings import InfantProduct
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.flows.config import Study
from spinforge.flows.slices import network_folder, select_networks
from spinforge.models.export.onnx_file import export_onnx
from spinforge.models.export.preprocessing import Preprocessing
from spinforge.models.export.program_file import export_kspace_program, export_program
from spinforge.models.export.trials import Agreement
from spinforge.models.networks import KSpaceNetwork, NetworkConfig, SequenceNetwork
from spinforge.models.weights import LoadedNetwork, load_network
from spinforge.simulation.errors import SpinforgeError

NetworkForm = Literal["onnx", "program"]


def export_networks(
    study: Study,
    form: NetworkForm,
    folder: Path,
    *,
    only: str | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[tuple[Path, Agreement]]:
    """Write trained networks with the preprocessing that their files note.

    All of them are looked at before the first is written.

    Args:
        study: Whose networks.
        form: "onnx", or "program" for PyTorch's `torch.export`.
        folder: Where NAME.onnx or NAME.pt2 goes; made if missing.
        only: Name of the one network; all of them by default.
        size: Height and width of the images [pixel]; by default those of the training.

    Yields:
        Every file as soon as it is written, and how close its answer is to the network's.

    Raises:
        SpinforgeError: If a network is not trained, does not say what it reads or has no such form.
    """
    chosen = select_networks(study, only)
    loaded = [(network, _loaded(study, network, form)) for network in chosen]
    for network, found in loaded:
        yield _export(study, network, found, form, folder, size or _size(found))


def _loaded(study: Study, network: NetworkConfig, form: NetworkForm) -> LoadedNetwork:
    """A trained network, checked to have the form.

    Raises:
        SpinforgeError: If it has not; see `export_networks`.
    """
    file = network_folder(study, network) / "network.pt"
    if not file.is_file():
        raise SpinforgeError(f"network {network.name} is not trained. Run: spinforge train")
    if form == "onnx" and isinstance(network, KSpaceNetwork):
        raise SpinforgeError(
            f"network {network.name} ({network.kind}) starts from k-space, whose complex Fourier "
            f"transforms ONNX cannot write. Use --as program, or name another with --network"
        )
    found = load_network(file)
    if found.reads is None:
        raise SpinforgeError(
            f"{file} does not say what its images went through. Delete its folder and train it "
            f"again, or export it from Python, naming that yourself (docs/export.md)"
        )
    return found


def _export(
    study: Study,
    network: NetworkConfig,
    loaded: LoadedNetwork,
    form: NetworkForm,
    folder: Path,
    size: tuple[int, int],
) -> tuple[Path, Agreement]:
    """Write one network."""
    assert loaded.reads is not None
    path = folder / f"{network.name}{'.onnx' if form == 'onnx' else '.pt2'}"
    names = loaded.reads.class_names
    class_names = names if len(names) == loaded.n_classes else None  # none of a foreground alone
    if isinstance(network, KSpaceNetwork):
        assert isinstance(study.data, KSpaceProduct)  # nothing else trains one
        coils = study.data.scanner.coils
        return path, export_kspace_program(
            loaded, path, size=size, coils=coils, class_names=class_names
        )
    write = export_onnx if form == "onnx" else export_program
    return path, write(
        loaded,
        path,
        size=size,
        preprocessing=Preprocessing.of(loaded.reads),
        times=_times(study, network),
        class_names=class_names,
    )


def _size(loaded: LoadedNetwork) -> tuple[int, int]:
    """Of the slices in training."""
    assert loaded.reads is not None
    return loaded.reads.size


def _times(study: Study, network: NetworkConfig) -> int | None:
    """Time points of the study's sequences, for a network that reads them."""
    if isinstance(network, SequenceNetwork) and isinstance(study.data, InfantProduct):
        return len(study.data.ages_months)
    return None
