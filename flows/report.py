"""The report flow: gather what a run left behind and write the page."""

import importlib.metadata
import platform
from datetime import datetime
from pathlib import Path

import pandas as pd
from prefect import flow

from spinforge.datasets.card.card import facts_of
from spinforge.datasets.products.infant_settings import InfantProduct
from spinforge.datasets.products.making import split_of
from spinforge.evaluation.report.content import NetworkReport, ReportContent
from spinforge.evaluation.report.page import write_report
from spinforge.evaluation.report.shown_slices import ShownSlices
from spinforge.flows.config import Study, study_yaml
from spinforge.flows.evaluate import read_predictions, study_scores
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import REPORT_S
from spinforge.flows.progress import say
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder, study_slices
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.tracking import Tracker
from spinforge.models.networks import NetworkConfig, count_parameters
from spinforge.models.training.columns import HISTORY_COLUMNS
from spinforge.models.training.fit import read_summary
from spinforge.models.training.product_slices import StudySlices
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


@flow(name="report", timeout_seconds=REPORT_S, **FLOW_OPTIONS)
def report(study: StudyParameter) -> str:
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
    scores, slices = study_scores(study), study_slices(study, "test")
    evaluated = [n for n in study.networks if n.name in set(scores["network"])]
    shown = ShownSlices(
        slices,
        {n.name: read_predictions(scores_folder(study, n) / "predictions.npz") for n in evaluated},
    )
    return ReportContent(
        title=f"Study {study.name}",
        created=datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z"),
        data_card=facts_of(folder.store, split_of(study.data)),
        examples=shown.examples(),
        networks=[_network_report(n, network_folder(study, n)) for n in evaluated],
        scores=scores,
        load_case=shown,
        configuration=study_yaml(study),
        provenance=_provenance(study, slices),
        files=_files(folder),
        classes=slices.class_names,
        seen=shown.seen,
        axes=shown.axes,
        # Infants have no validation slices, and keep the last epoch whatever these say.
        judged_by="slices of the test ages"
        if isinstance(study.data, InfantProduct)
        else "validation slices",
    )


def _network_report(network: NetworkConfig, folder: Path) -> NetworkReport:
    weights = load_network(folder / "network.pt").network
    settings = network.model_dump(exclude={"name"})
    return NetworkReport(
        name=network.name,
        description=", ".join(f"{key} {value}" for key, value in settings.items()),
        parameters=count_parameters(weights),
        history=_history(folder),
        kept_epoch=read_summary(folder).best_epoch,
    )


def _history(folder: Path) -> pd.DataFrame:
    """A network's learning curves.

    Raises:
        SpinforgeError: If their file is missing or not as training wrote it.
    """
    path, remedy = folder / "history.csv", f"Delete {folder} and run: spinforge train"
    if not path.is_file():
        raise SpinforgeError(f"{path} is missing. {remedy}")
    try:
        history = pd.read_csv(path)
        numbers = history[list(HISTORY_COLUMNS)].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise SpinforgeError(f"{path} is damaged ({_in_a_line(error)}). {remedy}") from error
    if numbers.empty:
        raise SpinforgeError(f"{path} is damaged: it has no epoch. {remedy}")
    return history


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


def machine_and_versions() -> dict[str, str]:
    """Versions of what computes, and the machine, for provenance."""
    packages = ("spinforge", "torch", "numpy", "zarr", "lightning", "prefect", "mlflow")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    system = f"{platform.system()} {platform.machine()}"
    return {"versions": versions, "machine": f"Python {platform.python_version()} on {system}"}


def _provenance(study: Study, slices: StudySlices) -> dict[str, str]:
    return {
        "scored volumes": ", ".join(_volumes(slices)),
        "scored content sha256": slices.digest,
        "seed": str(study.seed),
        **machine_and_versions(),
        "MLflow": Tracker(study).uri,
    }


def _volumes(slices: StudySlices) -> list[str]:
    """Every volume with a scored slice."""
    cases = (case for position in range(len(slices)) for case in slices.cases(position))
    return list(dict.fromkeys(case.volume for case in cases))


def _files(folder: RunFolder) -> dict[str, str]:
    paths: dict[str, Path | str] = {
        "scores, one row a case, tissue and metric (CSV)": folder.evaluation / "cases.csv",
        "the same as Parquet": folder.evaluation / "cases.parquet",
        "each paper's figure of all cases (CSV)": folder.evaluation / "aggregated.csv",
        "resolved study file": folder.study_file,
        "dataset (zarr)": folder.store.path,
        "networks and learning curves": folder.networks,
    }
    return {
        name: path if isinstance(path, str) else str(path.relative_to(folder.path))
        for name, path in paths.items()
    }
