"""Sets in the formats of other programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from spinforge.datasets.export.raw_scan import MaskName, load_raw_scan
from spinforge.datasets.reading.groups import no_subjects
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

Format = Literal["ismrmrd", "fastmri", "bids"]


def export_set(
    store: DatasetStore, form: Format, folder: Path, *, mask: MaskName = "all", split: Split | None
) -> Iterator[Path]:
    """Write every complete subject of a set in another format.

    Args:
        store: The set, or a group of corrupted images in it.
        form: ISMRMRD and fastMRI take k-space; BIDS takes all, k-space as magnitude images.
        folder: Where the files go; for BIDS a new or empty folder.
        mask: Lines of raw data to write.
        split: Who trains, validates and tests; noted in BIDS only.

    Yields:
        Every file as soon as it is written.

    Raises:
        SpinforgeError: If the set has no subject or not what the format holds, or `ismrmrd` is not
            installed.
    """
    subjects = store.complete_subjects()
    if not subjects:
        raise no_subjects(store)
    if form == "bids":
        if mask != "all":
            raise SpinforgeError("--mask is for raw data; a BIDS image is always fully sampled")
        from spinforge.datasets.export.bids_tree import write_bids

        groups = {name: members for name, members in split} if split else {}
        yield from write_bids(store, folder, groups=groups)
        return
    for subject in subjects:
        scan = load_raw_scan(store, subject, mask)
        path = folder / f"{subject}.h5"
        if form == "ismrmrd":
            from spinforge.datasets.export.ismrmrd_file import write_ismrmrd

            write_ismrmrd(scan, path)
        else:
            from spinforge.datasets.export.fastmri_file import write_fastmri

            full = scan if mask == "all" else load_raw_scan(store, subject)
            write_fastmri(scan, full, path)
        yield path
