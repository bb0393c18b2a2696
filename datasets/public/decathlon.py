"""The Medical Segmentation Decathlon: how each of its ten tasks lies in its folder.

Cite Simpson et al., arXiv:1902.09063 (2019); CC-BY-SA 4.0, medicaldecathlon.com.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from spinforge.datasets.public.layout import (
    NIFTI_SUFFIXES,
    entries,
    missing,
    named_folder,
    only,
    unknown_subject,
    wrong_layout,
)
from spinforge.datasets.public.subject_files import FileSource, SubjectFiles
from spinforge.simulation.errors import SpinforgeError

CITE = "Simpson et al., arXiv:1902.09063 (2019); CC-BY-SA 4.0, medicaldecathlon.com"


@dataclass(frozen=True)
class DecathlonTask(FileSource):
    """Training volumes with labels, test volumes without; one contrast.

    Attributes:
        task: Folder of the task, such as "Task09_Spleen".
        contrast: What its images are called in a set.
        codes: Value in the label map -> label that is delivered.
        tree: Expected files and folders, a line each.
        folder: The task's folder, or the one above it.
        part: Which subjects there are.
    """

    task: ClassVar[str]
    contrast: ClassVar[str]
    codes: ClassVar[dict[int, int]]
    tree: ClassVar[str]

    folder: Path
    part: Literal["training", "test", "all"] = "training"

    def subjects(self) -> list[str]:
        """Every subject of the chosen part, sorted as text, such as "spleen_10".

        Raises:
            SpinforgeError: If the folder is not the task's, or a label map has no image.
        """
        return sorted(self._images())

    def _images(self) -> dict[str, Path]:
        root = named_folder(self.folder, self.task) or self.folder
        self._check_task(root / "dataset.json")
        found: dict[str, Path] = {}
        if self.part in ("training", "all"):
            found |= (training := self._volumes(root / "imagesTr"))
            for name, path in self._volumes(root / "labelsTr").items():
                if training and name not in training:
                    raise SpinforgeError(
                        f"{path} has no image: {root / 'imagesTr' / path.name} is missing. Unpack "
                        f"the archive again."
                    )
        if self.part in ("test", "all"):
            found |= self._volumes(root / "imagesTs")
        if not found:
            raise wrong_layout(self.folder, f"the Decathlon's {self.task}", self.tree)
        return found

    def _files(self, subject: str) -> SubjectFiles:
        images = self._images()
        if subject not in images:
            raise unknown_subject(subject, sorted(images))
        image = images[subject]
        labels: Path | None = None
        if image.parent.name == "imagesTr":
            folder = image.parent.parent / "labelsTr"
            labels = self._volumes(folder).get(subject)
            if labels is None:
                siblings = entries(folder) if folder.is_dir() else []
                raise missing(folder / f"{subject}.nii.gz", subject, siblings)
        return SubjectFiles(subject, {self.contrast: image}, labels, self.codes)

    def _volumes(self, folder: Path) -> dict[str, Path]:
        """NIfTI files of a folder by name without suffix; none if it is not there."""
        found: dict[str, list[Path]] = {}
        for path in entries(folder) if folder.is_dir() else ():
            suffix = next((s for s in NIFTI_SUFFIXES if path.name.endswith(s)), None)
            if suffix and path.name.startswith(f"{self._organ.lower()}_"):
                found.setdefault(path.name.removesuffix(suffix), []).append(path)
        return {name: only(paths) for name, paths in found.items()}

    def _check_task(self, path: Path) -> None:
        """See that dataset.json, where there is one, is the task's."""
        if not path.is_file():
            return
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise SpinforgeError(
                f"{path} cannot be read ({error}). Unpack the archive again."
            ) from error
        name = content.get("name") if isinstance(content, dict) else None
        if name != self._organ:
            raise SpinforgeError(
                f"{path} describes {name!r}, expected {self._organ!r}: this is another task of the "
                f"Decathlon. Use {self.task}."
            )

    @property
    def _organ(self) -> str:
        """What the task is called in its description and, in small letters, in its files' names."""
        return self.task.partition("_")[2]
