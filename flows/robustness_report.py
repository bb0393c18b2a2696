"""The report of a robustness study, and the same tables and figures for Prefect and MLflow."""

from prefect import flow

from spinforge.flows.config import Study
from spinforge.flows.progress import say
from spinforge.flows.robustness_content import robustness_content
from spinforge.flows.run_folder import RunFolder


@flow(name="robustness-report")
def robustness_report(study: Study) -> str:
    """Write the report of a robustness study that was run.

    Args:
        study: Whose run folder is read.

    Returns:
        Path of the page.
    """
    folder = RunFolder.of(study)
    robustness_content(study)
    say(f"report    {folder.robustness_page}")
    return str(folder.robustness_page)
