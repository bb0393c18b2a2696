"""The report of a robustness study, and the same tables and figures for Prefect and MLflow."""

import json

import pandas as pd
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.degradation import ALL_TRANSFORMS
from spinforge.evaluation.robustness.report.artifacts import robustness_figures, robustness_tables
from spinforge.evaluation.robustness.report.page import write_robustness_report
from spinforge.evaluation.robustness.report.results import RobustnessResults, robustness_results
from spinforge.evaluation.robustness.report.verdict import verdict
from spinforge.flows.artifacts import LONGEST_TABLE, artifact_key
from spinforge.flows.config import Study
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import REPORT_S
from spinforge.flows.orchestration import Tracker
from spinforge.flows.progress import say
from spinforge.flows.robustness_content import robustness_content
from spinforge.flows.run_folder import RunFolder


@flow(name="robustness-report", timeout_seconds=REPORT_S, **FLOW_OPTIONS)
def robustness_report(study: Study) -> str:
    """Write the report of a robustness study that was run, and tell Prefect and MLflow the same.

    Args:
        study: Whose run folder is read.

    Returns:
        Path of the page.
    """
    folder, content = RunFolder.of(study), robustness_content(study)
    results = robustness_results(content)
    tables = robustness_tables(content, results)
    with folder.opened(study):
        write_robustness_report(content, folder.robustness_page, results)
        for name, table in tables.items():
            with replacing(folder.robustness / "tables" / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False, na_rep="NaN", lineterminator="\n")
        _tell_mlflow(study, content, results, tables)
    _tell_prefect(study, content, results, tables)
    say(f"report    {folder.robustness_page}")
    return str(folder.robustness_page)


def _tell_mlflow(
    study: Study,
    content: RobustnessContent,
    results: RobustnessResults,
    tables: dict[str, pd.DataFrame],
) -> None:
    """Report, tables and figures as artifacts of the study's run, and the scores as metrics."""
    folder, tracker = RunFolder.of(study), Tracker(study)
    with tracker.study_run() as run:
        for path in (folder.robustness_page, folder.robustness / "robustness.parquet"):
            tracker.log_file(run, path)
        for name, table in tables.items():
            tracker.log_table(run, table, f"robustness/{name}.json")
        for name, figure in robustness_figures(content, results).items():
            tracker.log_figure(run, figure, f"robustness/{name}.png")
        tracker.log_metrics(run, _headline(results))


def _headline(results: RobustnessResults) -> dict[str, float]:
    """Scores of Dice over all corruptions, as robustness/<protocol>/<score>/<network>."""
    scores = results.scores
    rows = scores[(scores["metric"] == "dice") & (scores["transform"] == ALL_TRANSFORMS)]
    rows = rows[rows["mean"].notna()]
    protocols = rows["protocol"].str.replace(" ", "_")
    names = "robustness/" + protocols + "/" + rows["score"] + "/" + rows["model"]
    return dict(zip(names.tolist(), rows["mean"].tolist(), strict=True))


def _tell_prefect(
    study: Study,
    content: RobustnessContent,
    results: RobustnessResults,
    tables: dict[str, pd.DataFrame],
) -> None:
    """The verdict in words and every table, on the page of the flow's run."""
    key = artifact_key("robustness", study.name)
    parts = [f"# Robustness study {content.name}", ""]
    for heading, sentences in verdict(results, content.strengths):
        parts += [f"**{heading}**" if heading else "", "", *sentences, ""]
    parts += [f"Report: {RunFolder.of(study).robustness_page}"]
    create_markdown_artifact("\n".join(parts), key=key, description="What the study showed")
    for name, table in tables.items():
        shown = table.head(LONGEST_TABLE)
        left_out = len(table) - len(shown)
        create_table_artifact(
            json.loads(shown.to_json(orient="records", double_precision=4)),
            key=f"{key}-{name.replace('_', '-')}",
            description=f"First {len(shown)} of {len(table)} rows" if left_out else name,
        )
