"""The files of one subject, whatever collection it is from: checked, hashed and loaded."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from spinforge.datasets.brainweb.files import files_digest
from spinforge.datasets.public.nifti import (
    Header,
    check_same_grid,
    read_header,
    read_image,
    read_labels,
)
from spinforge.datasets.volumes import Collection, LabelledVolume
from spinforge.simulation.config import content_hash


@dataclass(frozen=True)
class SubjectFiles:
    """Where a subject's images and labels are, and what the labels mean.

    Attributes:
        subject: Name.
        contrasts: Name -> file; all are on one grid.
        labels: Label map on the same grid; None where it is not published.
        codes: Value in the label map -> label that is delivered.
        hint: What the label map may be if it holds other values.
        parameters: What else the record should say.
    """

    subject: str
    contrasts: dict[str, Path]
    labels: Path | None
    codes: dict[int, int]
    hint: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


class FileSource(ABC):
    """What collections of NIfTI or Analyze files have in common: a VolumeSource but for names.

    A collection says which subjects there are and which files make one; what else it does to
    them, if anything, is in `_reading` and `_finished`.

    Attributes:
        collection: Its name and whom to cite.
    """

    collection: ClassVar[Collection]

    @abstractmethod
    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""

    @abstractmethod
    def _files(self, subject: str) -> SubjectFiles:
        """Files of a subject; SpinforgeError if one of them is not there."""

    def _reading(self) -> dict[str, Any]:
        """What changes the arrays beside the files and the codes, as plain data."""
        return {}

    def _finished(self, volume: LabelledVolume, files: SubjectFiles) -> LabelledVolume:
        """What is delivered, from the volume as the files have it."""
        return volume

    def check(self, subject: str) -> None:
        """See that a subject's files are there and on one grid; reads headers, so it is quick.

        Raises:
            SpinforgeError: If a file is missing, no volume, or on another grid.
        """
        _headers(self._files(subject))

    def digest(self, subject: str) -> str:
        """SHA-256 of the bytes of a subject's files and of how they are read.

        Raises:
            SpinforgeError: If a file is missing.
        """
        files = self._files(subject)
        paths = [*files.contrasts.values(), *([] if files.labels is None else [files.labels])]
        with_voxels = [path for header in paths for path in _pair(header)]
        return content_hash(
            {
                "files": files_digest(with_voxels),
                "contrasts": list(files.contrasts),
                "codes": {str(value): label for value, label in files.codes.items()},
                "reading": self._reading(),
            }
        )

    def load(self, subject: str) -> LabelledVolume:
        """Read and check everything.

        Raises:
            SpinforgeError: If a file is missing, damaged, on another grid, or holds values it
                should not.
        """
        files = self._files(subject)
        volume = self._finished(_volume(files), files)
        parameters = {**volume.parameters, "collection": asdict(self.collection)}
        return replace(volume, parameters=parameters)


def _volume(files: SubjectFiles) -> LabelledVolume:
    images, label_map = _headers(files)
    first = images[0]
    return LabelledVolume(
        subject=files.subject,
        contrasts={
            name: read_image(header) for name, header in zip(files.contrasts, images, strict=True)
        },
        labels=None if label_map is None else read_labels(label_map, files.codes, hint=files.hint),
        spacing_mm=first.spacing_mm,
        affine=first.affine,
        parameters={
            **files.parameters,
            "stored_orientation": first.orientation,
            "orientation_verified": any(header.is_placed for header in images),
        },
    )


def _headers(files: SubjectFiles) -> tuple[list[Header], Header | None]:
    """Headers of the images and of the label map, all on the grid of the first image."""
    paths = [*files.contrasts.values(), *([] if files.labels is None else [files.labels])]
    headers = [read_header(path) for path in paths]
    # A label map is often written without its place, and never without its image.
    reference = next((header for header in headers if header.is_placed), headers[0])
    headers = [header.placed_like(reference) for header in headers]
    for header in headers[1:]:
        check_same_grid(headers[0], header)
    images = headers[: len(files.contrasts)]
    return images, None if files.labels is None else headers[-1]


def _pair(path: Path) -> list[Path]:
    """The file that holds the voxels is another one for Analyze."""
    return [path, path.with_suffix(".img")] if path.suffix == ".hdr" else [path]
