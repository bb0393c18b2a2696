"""The download flow: BrainWeb's models and images, one Prefect task a file."""

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow, task
from pydantic import Field

from spinforge.datasets.brainweb import collections
from spinforge.datasets.brainweb import download as brainweb
from spinforge.datasets.brainweb.collections import Volume
from spinforge.datasets.brainweb.images import ImageSettings
from spinforge.datasets.brainweb.twenty import SUBJECTS
from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.limits import DOWNLOAD_S
from spinforge.flows.orchestration import RETRIES
from spinforge.flows.progress import progress_bar
from spinforge.simulation.errors import SpinforgeError

Collection = Literal["brainweb20", "brainweb0", "msles1", "msles2", "msles3", "images"]


BRAINWEBS_DEFAULT = ImageSettings()


@flow(name="download", timeout_seconds=DOWNLOAD_S, **FLOW_OPTIONS)
def download(
    collection: Collection = "brainweb20",
    to: Path | None = None,
    subjects: Annotated[tuple[str, ...], Field(examples=[["subject04"]])] = (),
    fuzzy: bool = False,
    image: ImageSettings = BRAINWEBS_DEFAULT,
) -> list[str]:
    """Fetch BrainWeb's files from BrainWeb itself, unless they are there.

    Args:
        collection: What to fetch: `brainweb20` the twenty normal heads; `brainweb0` the older
            single head, `msles1` to `msles3` the same with MS lesions; `images` BrainWeb's own
            simulated MRI of it.
        to: Folder for the files; data/brainweb20 or data/brainweb0 by default.
        subjects: Of brainweb20, such as subject04; all twenty by default.
        fuzzy: Every tissue's fuzzy volume too; not for images.
        image: Which one; for images only.

    Returns:
        The files, each whole and checked.

    Raises:
        SpinforgeError: If the choice does not exist or a file cannot be had.
    """
    volumes = chosen_volumes(collection, subjects, fuzzy=fuzzy, image=image)
    folder = to or Path("data") / ("brainweb20" if collection == "brainweb20" else "brainweb0")

    def fetch(name: str, volume: Volume) -> str:
        return str(next(brainweb.download_volumes([volume], folder)))

    one_file = task(name="download-file", task_run_name="{name}", **RETRIES)(fetch)
    with progress_bar() as progress:  # one after the other: it is a university's server
        shown = progress.track(volumes, description="downloading")
        return [one_file(volume.stem, volume) for volume in shown]


def chosen_volumes(
    collection: Collection, subjects: tuple[str, ...], *, fuzzy: bool, image: ImageSettings
) -> list[Volume]:
    """The files of a collection, as `download` takes it.

    Raises:
        SpinforgeError: If the choice does not exist, or says what does not belong to it.
    """
    if subjects and collection != "brainweb20":
        raise SpinforgeError(f"--subject belongs to brainweb20, not to {collection}.")
    if fuzzy and collection == "images":
        raise SpinforgeError("--fuzzy belongs to the models, not to images.")
    if collection == "brainweb20":
        return collections.brainweb20_volumes(subjects or SUBJECTS, fuzzy=fuzzy)
    if collection == "images":
        return [collections.image_volume(image)]
    return collections.subject0_volumes(
        "normal" if collection == "brainweb0" else collection, fuzzy=fuzzy
    )
