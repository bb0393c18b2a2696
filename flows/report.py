"""The report flow: gather what a run left behind and write the page."""

import importlib.metadata
import platform
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from prefect import flow

from spinforge.datasets.card.scan_facts import data_card
from spinforge.datasets.products.catalogue import kspace_product
from spinforge.datasets.products.making import split_of
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.evaluation.report.content import (
    CaseImages,
    ExampleSlice,
    NetworkReport,
    ReportContent,
)
from spinforge.evaluation.report.page import write_report
from spinforge.flows.config import Study, study_yaml
from spinforge.flows.evaluate import read_predictions, study_scores
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder, study_slices
from spinforge.flows.tracking import Tracker
from spinforge.models.networks import NetworkConfig, count_parameters
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError

# Slices of the first scored subject shown in the data card: through the cerebellum, the
# ventricles and above them, as fractions of the stack.
_EXAMPLE_HEIGHTS = (0.3, 0.55, 0.75)


@flow(name="report")
def report(study: Study) -> str:
    """Write the HTML report of an evaluated study.

    Args:
        study: The study whose run folder is read.

    Returns:
        Path of the page.
    """
    folder = RunFolder.of(study)
    content = _content(study)
    tracker = Tracker(study)
    with folder.opened(study):
        write_report(content, folder.report)
        with tracker.study_run() as run:
            tracker.log_file(run, folder.report)
            tracker.log_file(run, folder.evaluation / "cases.csv")
            tracker.log_file(run, folder.study_file)
    say(f"report    {folder.report}")
    return str(folder.report)


def _content(study: Study) -> ReportContent:
    """Everything on the page; damaged and missing inputs are found here."""
    folder = RunFolder.of(study)
    scores, slices = study_scores(study), _held_out(study)
    evaluated = [n for n in study.networks if n.name in set(scores["network"])]
    return ReportContent(
        title=f"Study {study.name}",
        created=datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z"),
        data_card=data_card(folder.store, kspace_product(study.data), split_of(study.data)),
        examples=_examples(slices),
        networks=[_network_report(n, network_folder(study, n)) for n in evaluated],
        scores=scores,
        load_case=_CaseLoader(study, slices, evaluated),
        configuration=study_yaml(study),
        provenance=_provenance(study, slices),
        files=_files(folder),
    )


def _held_out(study: Study) -> ZeroFilledSlices:
    """Test slices, whose k-space the page shows as well."""
    kspace_product(study.data)
    slices = study_slices(study, "test")
    assert isinstance(slices, ZeroFilledSlices)
    return slices


class _CaseLoader:
    """Loads the pictures of one slice; label maps are read once."""

    def __init__(
        self, study: Study, slices: ZeroFilledSlices, networks: list[NetworkConfig]
    ) -> None:
        self._slices = slices
        self._labels = {
            network.name: read_predictions(scores_folder(study, network) / "predictions.npz")
            for network in networks
        }

    def __call__(self, subject: str, number: int) -> CaseImages:
        row = self._slices.index.index((subject, number))
        return CaseImages(
            image=_magnitude(self._slices, row),
            target=self._slices.target[row].numpy(),
            predictions={name: labels[row] for name, labels in self._labels.items()},
        )


def _magnitude(slices: ZeroFilledSlices, row: int) -> np.ndarray:
    """Magnitude of what the network saw."""
    image = slices[row]["image"]
    return np.asarray(image.square().sum(0).sqrt().numpy())


def _examples(slices: ZeroFilledSlices) -> list[ExampleSlice]:
    subject = slices.subjects[0]
    rows = [row for row, (owner, _) in enumerate(slices.index) if owner == subject]
    chosen = sorted({rows[int(height * len(rows))] for height in _EXAMPLE_HEIGHTS})
    return [
        ExampleSlice(
            image=_magnitude(slices, row),
            reference=slices.fully_sampled(row).abs().numpy(),
            target=slices.target[row].numpy(),
            mask=slices.line_mask(row).numpy(),
            caption=f"{subject}, slice {slices.index[row][1]}",
        )
        for row in chosen
    ]


def _network_report(network: NetworkConfig, folder: Path) -> NetworkReport:
    weights = load_network(folder / "network.pt").network
    history = folder / "history.csv"
    if not history.is_file():
        raise SpinforgeError(f"{history} is missing. Delete {folder} and run: spinforge train")
    settings = network.model_dump(exclude={"name"})
    return NetworkReport(
        name=network.name,
        description=", ".join(f"{key} {value}" for key, value in settings.items()),
        parameters=count_parameters(weights),
        history=pd.read_csv(history),
    )


def _provenance(study: Study, slices: ZeroFilledSlices) -> dict[str, str]:
    packages = ("spinforge", "torch", "numpy", "zarr", "lightning", "prefect", "mlflow")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return {
        "scored subjects": ", ".join(slices.subjects),
        "scored content sha256": slices.digest,
        "seed": str(study.seed),
        "versions": versions,
        "machine": f"Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}",
        "MLflow": Tracker(study).uri,
    }


def _files(folder: RunFolder) -> dict[str, str]:
    paths: dict[str, Path | str] = {
        "scores, one row a case, tissue and metric (CSV)": folder.evaluation / "cases.csv",
        "the same as Parquet": folder.evaluation / "cases.parquet",
        "resolved study file": folder.study_file,
        "dataset (zarr)": folder.store.path,
        "networks and learning curves": folder.networks,
    }
    return {
        name: path if isinstance(path, str) else str(path.relative_to(folder.path))
        for name, path in paths.items()
    }
