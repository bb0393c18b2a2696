"""Several studies, one after the other, by one command."""

from typing import Any

from prefect import flow

from spinforge.flows.config import Study
from spinforge.flows.evaluate import pooled_scores
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import STUDY_S
from spinforge.flows.progress import say
from spinforge.flows.study import study as run_study
from spinforge.flows.suite_file import Suite
from spinforge.simulation.errors import SpinforgeError


@flow(name="suite", timeout_seconds=STUDY_S, **FLOW_OPTIONS)
def suite(suite: Suite, studies: list[Study], overwrite: bool = False) -> dict[str, Any]:
    """Run every study; what is there already is not done again.

    Args:
        suite: What is asked of all of them.
        studies: The studies, in their order.
        overwrite: Replace data sets made with another configuration.

    Returns:
        Study -> network -> pooled Dice, and that of the most frequent class.

    Raises:
        SpinforgeError: If networks must beat the most frequent class and some do not.
    """
    answers: dict[str, Any] = {}
    for study in studies:
        say(f"study     {study.name}")
        answers[study.name] = run_study(study, overwrite=overwrite)["pooled"]
    below = [
        f"{study.name}/{name} (Dice {pooled.dice:.4f} and accuracy {pooled.accuracy:.4f}, its "
        f"{pooled.majority_dice:.4f} and {pooled.majority_accuracy:.4f})"
        for study in studies
        for name, pooled in pooled_scores(study).items()
        if not pooled.beats_majority
    ]
    if suite.beats_majority and below:
        raise SpinforgeError(
            f"{len(below)} networks are no better than the most frequent class, by Dice and "
            f"accuracy of all test pixels: {', '.join(below)}"
        )
    return answers
