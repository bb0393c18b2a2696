"""The command `spinforge robustness`."""

from spinforge.flows.answer import print_answer
from spinforge.flows.local_server import prefect_server
from spinforge.flows.options import AsJson, Overrides, Overwrite, StudyFile


def robustness(
    file: StudyFile,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Test the study's networks at every level of its corruptions; writes tables and a report.

    Example: `spinforge robustness studies/robustness.yaml --set robustness.seeds=[0,1,2]`

    What lacks is made first: data, corruption sets, networks. With
    `--set robustness.protocols=[clean,retrained]` networks are also trained at each level.
    """
    from spinforge.flows.check_robustness import check_robustness
    from spinforge.flows.config import load_study

    resolved = load_study(file, overrides or [])
    check_robustness(resolved, overwrite=overwrite)
    from spinforge.flows.robustness import robustness as robustness_flow

    with prefect_server():
        result = robustness_flow(resolved, overwrite=overwrite)
    print_answer(result, as_json)
