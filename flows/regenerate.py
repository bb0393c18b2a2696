"""The nightly flow: complete a study's set, then compute every digest of it again."""

from prefect import flow

from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.generate import generate
from spinforge.flows.limits import GENERATE_S
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study_parameter import StudyParameter
from spinforge.flows.verify import verify
from spinforge.simulation.errors import SpinforgeError

_NAMED = 5
"""Problems in the message; all of them are what `spinforge verify` prints."""


@flow(name="regenerate", timeout_seconds=GENERATE_S, **FLOW_OPTIONS)
def regenerate(study: StudyParameter) -> str:
    """Make what a study's set lacks, and verify all of it: subjects and corruption sets.

    Args:
        study: Whose set.

    Returns:
        Digest of the set.

    Raises:
        SpinforgeError: If anything in the set is not as it was written.
    """
    digest = generate(study)
    place = RunFolder.of(study).store.path
    problems = [str(problem) for problem in verify(place)]
    if problems:
        named = "\n".join(problems[:_NAMED])
        raise SpinforgeError(
            f"{len(problems)} problems in {place}, which `spinforge verify` lists:\n{named}"
        )
    return digest
