"""Segment scans of one's own, or subjects of a set, with trained networks; needs no server."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spinforge.datasets.reading.groups import no_subjects
from spinforge.datasets.scans.contrast_names import assign_contrasts
from spinforge.datasets.scans.nifti_scan import (
    NIFTI_SUFFIXES,
    is_nifti,
    read_nifti_scan,
)
from spinforge.datasets.scans.raw_file import RAW_SUFFIXES, read_raw_scan
from spinforge.datasets.scans.scan import ImageScan, KSpaceScan, Scan, SequenceScan
from spinforge.datasets.scans.set_scan import check_subject, read_subject
from spinforge.datasets.slice_table import View
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.preflight import check_writable
from spinforge.flows.progress import progress_bar
from spinforge.models.devices import find_device
from spinforge.models.prediction.ensemble import Ensemble, load_ensemble
from spinforge.models.prediction.files import check_targets, write_segmentation
from spinforge.models.prediction.image_checks import (
    check_takes_files,
    check_takes_images,
    check_takes_mask,
)
from spinforge.models.prediction.kspace import check_takes_kspace, segment_kspace
from spinforge.models.prediction.sequences import segment_sequence
from spinforge.models.prediction.slices import Asked, Segmentation
from spinforge.models.prediction.volume import choose_plane, segment_volume
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class Prediction:
    """What is to be done.

    Attributes:
        scans: NIfTI files of one scan, each a path or "contrast=path"; or one file of raw data; or
            one set, its folder or URL.
        networks: Files of trained networks, which answer together.
        to: Folder for the results.
        subjects: Of a set; all by default.
        group: Of a set: corrupted images instead.
        brain: Of NIfTI files: mask of the brain.
        view: Of images: plane to cut.
        probabilities: Write the probability of each class.
        uncertainty: Write entropy and mutual information.
        device: Where to compute.
        batch_size: Slices at a time.
    """

    scans: tuple[str, ...]
    networks: tuple[Path, ...]
    to: Path
    subjects: tuple[str, ...] = ()
    group: str | None = None
    brain: Path | None = None
    view: View | None = None
    probabilities: bool = False
    uncertainty: bool = False
    device: Literal["auto", "cpu", "gpu"] = "auto"
    batch_size: int = 8


def predict(wanted: Prediction) -> dict[str, Any]:
    """Segment; all that can be known to fail does so before any work.

    Returns:
        Scan -> its files and notes.

    Raises:
        SpinforgeError: See `load_ensemble`, `segment_volume`, `segment_kspace` and the readers; or
            if the arguments do not go together.
    """
    check_writable(wanted.to, "--to")
    device = find_device(wanted.device)
    ensemble = load_ensemble(wanted.networks)
    networks = [
        {
            "file": path.name,
            "sha256": _sha256(path),
            "config": loaded.config.model_dump(mode="json"),
        }
        for path, loaded in zip(wanted.networks, ensemble.networks, strict=True)
    ]
    answers: dict[str, Any] = {}
    scans = _scans(wanted, ensemble)
    with progress_bar() as progress:
        for scan in scans:
            bar = progress.add_task(scan.name, total=None)

            def advance(done: int, total: int, bar: Any = bar) -> None:
                progress.update(bar, completed=done, total=total)

            asked = Asked(
                probabilities=wanted.probabilities,
                uncertainty=wanted.uncertainty,
                batch_size=wanted.batch_size,
                device=device,
                advance=advance,
            )
            for one, found in _segmented(ensemble, scan, wanted.view, asked):
                files = write_segmentation(
                    wanted.to, one, found, ensemble.class_names, networks=networks
                )
                answers[one.name] = {name: str(path) for name, path in files.items()}
                answers[one.name] |= {"notes": list(found.notes)} if found.notes else {}
    return answers


def _segmented(
    ensemble: Ensemble, scan: Scan, view: View | None, asked: Asked
) -> list[tuple[ImageScan | KSpaceScan, Segmentation]]:
    """What came of one scan, or of each scan of a sequence."""
    match scan:
        case ImageScan():
            return [(scan, segment_volume(ensemble, scan, view=view, asked=asked))]
        case KSpaceScan():
            return [(scan, segment_kspace(ensemble, scan, asked=asked))]
        case SequenceScan():
            found = segment_sequence(ensemble, scan, asked=asked)
            return list(zip(scan.frames, found, strict=True))


def _scans(wanted: Prediction, ensemble: Ensemble) -> Iterator[Scan]:
    """What is to be segmented, checked at once and read one after the other."""
    named, files = _named(wanted.scans)
    everything = [*files, *map(str, named.values())]
    if not everything:
        raise SpinforgeError("name a scan: NIfTI files, one of raw data (.h5), or a set (.zarr)")
    if all(is_nifti(Path(name)) for name in everything):
        _require_unset(wanted, ("subjects", "group"), "a set")
        return _of_images(wanted, ensemble, named, [Path(name) for name in files])
    if len(everything) > 1:
        other = next(name for name in everything if not is_nifti(Path(name)))
        raise SpinforgeError(
            f"{other}: several files must be images of one scan "
            f"({', '.join(NIFTI_SUFFIXES)}); give anything else alone"
        )
    (place,) = everything
    if place.lower().endswith(RAW_SUFFIXES):
        _require_unset(wanted, ("subjects", "group"), "a set")
        _require_unset(wanted, ("brain", "view"), "images")
        check_takes_kspace(ensemble)
        raw = read_raw_scan(Path(place))
        check_targets(wanted.to, raw)
        return iter([raw])
    if "://" in place or place.rstrip("/").endswith(".zarr") or Path(place).is_dir():
        _require_unset(wanted, ("brain",), "NIfTI files")
        return _of_set(wanted, ensemble, place)
    raise SpinforgeError(
        f"{place} is no scan that can be read: images are {', '.join(NIFTI_SUFFIXES)}, raw data "
        f"{', '.join(RAW_SUFFIXES)}, a set is a folder or URL"
    )


def _named(scans: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Files whose contrast was said, and the others."""
    named: dict[str, Path] = {}
    files = []
    for scan in scans:
        found = re.fullmatch(r"([A-Za-z][\w-]*)=(.+)", scan)
        if found is None or Path(scan).exists():
            files.append(scan)
        elif found[1] in named:
            raise SpinforgeError(f"{found[1]} is given twice: {named[found[1]]} and {found[2]}")
        else:
            named[found[1]] = Path(found[2])
    return named, files


def _require_unset(wanted: Prediction, names: tuple[str, ...], owner: str) -> None:
    for name in names:
        if getattr(wanted, name):
            option = "--subject" if name == "subjects" else f"--{name}"
            raise SpinforgeError(f"{option} is for {owner}, and {wanted.scans[0]} is none")


def _of_images(
    wanted: Prediction, ensemble: Ensemble, named: dict[str, Path], files: list[Path]
) -> Iterator[Scan]:
    check_takes_images(ensemble)
    check_takes_files(ensemble.reads, wanted.scans[0])
    if wanted.brain is not None:
        check_takes_mask(ensemble)
    contrasts = assign_contrasts(files, named, ensemble.reads.channels)
    scan = read_nifti_scan(contrasts, brain=wanted.brain)
    check_targets(wanted.to, scan)
    choose_plane(ensemble.reads, scan.place.spacing_mm, wanted.view)
    return iter([scan])


def _of_set(wanted: Prediction, ensemble: Ensemble, place: str) -> Iterator[Scan]:
    store = DatasetStore(place)
    if isinstance(store.path, Path) and wanted.to.absolute().is_relative_to(store.path.absolute()):
        raise SpinforgeError(f"--to {wanted.to} lies in the set, which is never changed")
    store = store.within(wanted.group or str(store.attributes()["kind"]))
    subjects = wanted.subjects or tuple(store.complete_subjects())
    if not subjects:
        raise no_subjects(store)
    reads, as_sequence = ensemble.reads, ensemble.reads_sequences
    for subject in subjects:
        check_subject(store, subject, reads, as_sequence=as_sequence)
    return (
        scan
        for subject in subjects
        for scan in read_subject(store, subject, reads, as_sequence=as_sequence)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
