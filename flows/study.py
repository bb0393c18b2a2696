"""The parent flow: generate, train, evaluate, report."""

from prefect import flow
from prefect.artifacts import create_table_artifact

from spinforge.flows.artifacts import artifact_key, show_page
from spinforge.flows.evaluate import evaluate, pooled_scores
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.generate import generate
from spinforge.flows.limits import STUDY_S
from spinforge.flows.preflight import check_study
from spinforge.flows.report import report
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.tracking import Tracker
from spinforge.flows.train import train


@flow(name="study", timeout_seconds=STUDY_S, **FLOW_OPTIONS)
def study(study: StudyParameter, overwrite: bool = False) -> dict[str, object]:
    """Run one study from phantom to report; what is there already is not done again.

    Args:
        study: Data, networks, training and evaluation.
        overwrite: Replace a data set made with another configuration.

    Returns:
        Where everything is, the data set's digest, each network's mean tissue Dice, and the mean
        Dice of all classes and test pixels together, beside that of the most frequent class.
    """
    check_study(study, overwrite=overwrite)
    tracker = Tracker(study)
    with RunFolder.of(study).opened(study):
        digest = generate(study, overwrite=overwrite)
        with tracker.study_run() as run:
            tracker.log_params(run, study.model_dump(mode="json", exclude={"networks"}))
            tracker.log_dataset(run, study.data.product, digest, "study")
            train(study)
            dice = evaluate(study)
            tracker.log_metrics(
                run, {f"test/slice_mean/average_dice/{n}": value for n, value in dice.items()}
            )
            page = report(study)
            pooled = pooled_scores(study)
    create_table_artifact(
        [{"network": name, "mean tissue Dice": round(value, 4)} for name, value in dice.items()],
        key=artifact_key("dice", study.name),
        description="Mean over the tissues of their mean Dice per slice.",
    )
    show_page(study.name, page)
    folder = RunFolder.of(study)
    return {
        "report": page,
        "dataset": str(folder.store.path),
        "dataset_digest": digest,
        "mlflow": tracker.uri,
        "dice": dice,
        "pooled": {
            name: {"dice": scores.dice, "of the most frequent class": scores.majority_dice}
            for name, scores in pooled.items()
        },
    }
