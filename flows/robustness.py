"""The robustness flow: networks x seeds x corruptions x severities, to one table and a report.

Nothing that is there already is done again: subjects, corruption sets, trained networks and scores
are found by the hashes of all that shaped them.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from prefect import flow, task

from spinforge.evaluation.robustness.content import Condition
from spinforge.evaluation.robustness.long_table import (
    CLEAN,
    joined,
    long_table_of_scores,
    write_long_table,
)
from spinforge.flows.artifacts import show_page
from spinforge.flows.check_robustness import check_robustness
from spinforge.flows.config import Study
from spinforge.flows.corrupt import corrupt
from spinforge.flows.evaluate import predict_and_score, stored_scores
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.generate import generate
from spinforge.flows.limits import STUDY_S, gpu_tag
from spinforge.flows.orchestration import RETRIES, found_complete, value_of
from spinforge.flows.progress import progress_bar, say
from spinforge.flows.robustness_report import robustness_report
from spinforge.flows.robustness_trials import (
    Trial,
    trainings,
    trials_of,
    with_corrupted_subjects,
)
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import scores_folder, study_slices
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.train import train
from spinforge.models.training.product_slices import StudySlices


@flow(name="robustness", timeout_seconds=STUDY_S, **FLOW_OPTIONS)
def robustness(study: StudyParameter, overwrite: bool = False) -> dict[str, object]:
    """Test every network of a study at every severity of its corruptions, and write the report.

    Args:
        study: Data, corruptions, networks and training; `robustness` says seeds and protocols.
        overwrite: Replace sets made with another configuration.

    Returns:
        Where the report and the long table are, the data sets' digests, and the number of trials.
    """
    check_robustness(study, overwrite=overwrite)
    folder = RunFolder.of(study)
    with folder.opened(study):
        digest = generate(study, overwrite=overwrite)
        corrupted = corrupt(with_corrupted_subjects(study), overwrite=overwrite)
        for trained in trainings(study):
            train(trained, parent=study)
        trials = list(trials_of(study))
        table = joined(_score_all(trials))
        write_long_table(table, folder.robustness)
        say(f"scores    {folder.robustness / 'robustness.csv'}")
        page = robustness_report(study)
    show_page(study.name, page, "robustness-report")
    return {
        "report": page,
        "table": str(folder.robustness / "robustness.parquet"),
        "dataset_digest": digest,
        "corruption_digest": corrupted["corruption_digest"],
        "trials": len(trials),
    }


def _score_all(trials: list[Trial]) -> Iterator[pd.DataFrame]:
    """Rows of the long table, trial by trial; images are read once for all networks."""
    opened, slices = None, None
    with progress_bar() as progress:
        for trial in progress.track(trials, description="testing networks"):
            if slices is None or opened != trial.study.test_on:
                opened, slices = trial.study.test_on, study_slices(trial.study, "test")

            def score_one(
                network: str, condition: str, trial: Trial = trial, shown: StudySlices = slices
            ) -> Any:
                if (stored := stored_scores(trial.study, trial.network)) is not None:
                    name = scores_folder(trial.study, trial.network).name
                    return found_complete(stored, name)
                return predict_and_score(trial.study, trial.network, shown)

            name = f"{opened or CLEAN}, seed {trial.study.seed}"
            one = task(
                name="score-network",
                task_run_name="{network} on {condition}",
                tags=gpu_tag(trial.study),
                **RETRIES,
            )(score_one)
            scores = value_of(one(trial.network.name, name))
            for condition in trial.conditions:
                yield _rows(scores, condition, trial.study)


def _rows(scores: pd.DataFrame, condition: Condition, study: Study) -> pd.DataFrame:
    return long_table_of_scores(
        scores,
        task=study.data.product,
        transform=condition.transform,
        severity=condition.severity,
        seed=condition.seed,
        protocol=condition.protocol,
    )
