"""Subjects of a zarr set as scans, as the networks of its study are shown them."""

import numpy as np

from spinforge.datasets.products.kspace import FIXED_MASK
from spinforge.datasets.reading.network_input import intensity_99
from spinforge.datasets.reading.photographs import COLOURS, GREY, with_grey
from spinforge.datasets.reading.slice_format import SliceFormat, window_of
from spinforge.datasets.reading.stored_volumes import stored_volumes
from spinforge.datasets.reading.subject_reader import SubjectReader
from spinforge.datasets.scans.scan import (
    ImageScan,
    KSpaceScan,
    Place,
    Scan,
    SequenceScan,
    require_channels,
)
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError


def check_subject(
    store: DatasetStore, subject: str, reads: SliceFormat, *, as_sequence: bool = False
) -> None:
    """Check that a subject holds what a network reads; quick, no array is read.

    Arguments are those of `read_subject`.

    Raises:
        SpinforgeError: If it does not, or is not there.
    """
    reader = SubjectReader(store, subject)
    where = f"{store.path}: {store.group}/{subject}"
    from_kspace = reads.acquired is not None
    if "full" in reader.own:
        if not from_kspace:
            raise SpinforgeError(
                f"{where} holds k-space; the network reads images ({', '.join(reads.channels)})"
            )
        return
    if from_kspace:
        raise SpinforgeError(f"{where} holds images; the network learned from k-space")
    sessions = {name.rpartition("/")[0] for name in reader.own if name.startswith("ses-")}
    if as_sequence and "corresponding" not in reader.names:
        raise SpinforgeError(f"{where} is a single scan; the network reads sequences of them")
    for session in sorted(sessions) or [""]:
        prefix = f"{session}/" if session else ""
        names = tuple(n.removeprefix(prefix) for n in reader.own if n.startswith(prefix))
        added = (GREY,) if reader.attributes.get("grey_channel") else ()
        contrasts = reader.attributes.get("contrasts", names)
        known = tuple(name for name in contrasts if name in names)
        require_channels(where + (f"/{session}" if session else ""), reads.channels, known + added)
    if reads.is_brain_only and "brain" not in reader.names:
        raise SpinforgeError(f"{where} has no mask of the brain, which the network learned from")


def read_subject(
    store: DatasetStore, subject: str, reads: SliceFormat, *, as_sequence: bool = False
) -> list[Scan]:
    """Read one subject, of infants one scan an age.

    Scaling and masks are those of training: intensities of corrupted images are divided by the
    clean volume's percentile, undersampled lines are those of the stored mask.

    Args:
        store: The set, or a group of corrupted images in it.
        subject: Name of a complete subject.
        reads: What the network is to be shown.
        as_sequence: An infant's scans as one sequence, for networks of such.

    Returns:
        One scan, or one an age.

    Raises:
        SpinforgeError: If it does not hold what the network reads, or is damaged.
    """
    check_subject(store, subject, reads, as_sequence=as_sequence)
    reader = SubjectReader(store, subject)
    if "full" in reader.own:
        return [_kspace(reader)]
    brain = reader.read("brain").astype(np.bool_) if reads.is_brain_only else None
    scans: list[Scan] = []
    for stored in stored_volumes(store, subject):
        volume = stored.volume
        images = volume.contrasts
        if reader.attributes.get("grey_channel"):
            stacks = {name: images[name] for name in COLOURS}
            images = dict(with_grey(stacks, reader.attributes["scale"]))
        session = f"_ses-{stored.session}" if stored.session else ""
        scans.append(
            ImageScan(
                name=f"{subject}{session}",
                contrasts={n: np.abs(images[n]).astype(np.float32) for n in reads.channels},
                place=Place(volume.spacing_mm, volume.affine),
                brain=brain,
                window=window_of(reader.attributes),
                scale=_clean_scale(store, subject, reads) if not session else {},
            )
        )
    if as_sequence:
        frames = tuple(scan for scan in scans if isinstance(scan, ImageScan))
        return [SequenceScan(subject, frames, reader.read("corresponding"))]
    return scans


def _clean_scale(store: DatasetStore, subject: str, reads: SliceFormat) -> dict[str, float]:
    """Of corrupted images, what `ImageSlices` divides them by."""
    clean = store.within(str(store.attributes()["kind"]))
    if reads.scaling != "volume" or clean.group == store.group:
        return {}
    return {
        name: intensity_99(clean.read(subject, name).astype(np.float32)) for name in reads.channels
    }


def _kspace(reader: SubjectReader) -> KSpaceScan:
    """All lines and the stored mask."""
    z, y, x = reader.spacing_mm
    return KSpaceScan(
        name=reader.subject,
        kspace=reader.read("full"),
        mask=reader.read(f"masks/{FIXED_MASK}"),
        sensitivities=reader.read("coil_maps"),
        place=Place((z, y, x), reader.affine),
    )
