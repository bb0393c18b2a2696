"""HVSMR 2016: cardiovascular MR of congenital heart disease, blood pool and myocardium.

Cite Pace et al., "Interactive Whole-Heart Segmentation in Congenital Heart Disease", MICCAI 2015.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from spinforge.datasets.public.layout import (
    entries_below,
    missing,
    only,
    unknown_subject,
    wrong_layout,
)
from spinforge.datasets.public.subject_files import FileSource, SubjectFiles
from spinforge.datasets.splits import Split
from spinforge.datasets.volumes import Collection
from spinforge.simulation.errors import SpinforgeError

View = Literal["axial_crop", "axial_full", "sa_crop"]

LABELS = ("background", "myocardium", "blood pool")

PAPER_DROPPED_SLICES = 20
"""CRDN leaves out this many slices at both ends of each of the three directions."""

_TREE = """
Training dataset/
  training_{view}_pat0.nii.gz ... training_{view}_pat9.nii.gz
Ground truth/
  training_{view}_pat0-label.nii.gz ... training_{view}_pat9-label.nii.gz
Test dataset/  (not needed for training)
  testing_{view}_pat10.nii.gz ... testing_{view}_pat19.nii.gz
(the files may lie in any folders)
"""

_SECOND_EDITION = re.compile(r"pat\d+_cropped.*\.nii(\.gz)?")
_HINT = (
    "HVSMR-2.0 labels eight structures and no myocardium; this reads the 2016 challenge, with "
    "1 myocardium and 2 blood pool."
)


@dataclass(frozen=True)
class HVSMR(FileSource):
    """Ten training volumes with labels, ten test volumes without.

    Attributes:
        folder: Holds the files of one or more views, in folders of any name.
        view: Cropped to the heart, whole, or resampled to the short axis of the heart.
        part: Which subjects there are: "pat0" to "pat9" (training), "pat10" to "pat19" (test).
    """

    collection: ClassVar = Collection(
        "HVSMR 2016",
        "Pace et al., Interactive whole-heart segmentation in congenital heart disease, MICCAI "
        "2015",
    )

    folder: Path
    view: View = "axial_crop"
    part: Literal["training", "test", "all"] = "training"

    def subjects(self) -> list[str]:
        """Every subject of the chosen part, sorted.

        Raises:
            SpinforgeError: If the folder is not HVSMR 2016, or a label map has no image.
        """
        images, labels = self._found()
        if orphans := sorted(set(labels) - set(images)):
            raise SpinforgeError(
                f"{labels[orphans[0]][0]} has no image: "
                f"training_{self.view}_{orphans[0]}.nii.gz is missing. Unpack the archive again."
            )
        return sorted(images)

    @staticmethod
    def paper_split() -> Split:
        """CRDN's subjects: 0 to 5 train, 6 to 9 test, none validates (Wen et al., AAAI 2020)."""
        return Split(
            train=tuple(f"pat{number}" for number in range(6)),
            validation=(),
            test=tuple(f"pat{number}" for number in range(6, 10)),
        )

    def _found(self) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        """Images of the chosen part and label maps, by subject."""
        files = entries_below(self.folder) if self.folder.is_dir() else []
        pattern = re.compile(rf"(training|testing)_{self.view}_(pat\d+)(-label)?\.nii(\.gz)?")
        images: dict[str, list[Path]] = {}
        labels: dict[str, list[Path]] = {}
        for path in files:
            match = pattern.fullmatch(path.name)
            if match is None or self.part not in ("all", match[1].replace("testing", "test")):
                continue
            # Labels of the test part were never published; such a file is somebody's result.
            if match[3] is None:
                images.setdefault(match[2], []).append(path)
            elif match[1] == "training":
                labels.setdefault(match[2], []).append(path)
        if not images:
            second = next((p for p in files if _SECOND_EDITION.fullmatch(p.name)), None)
            if second is not None:
                raise SpinforgeError(f"{second} is of another edition. {_HINT}")
            raise wrong_layout(self.folder, "HVSMR 2016", _TREE.format(view=self.view))
        return images, labels

    def _files(self, subject: str) -> SubjectFiles:
        images, labels = self._found()
        if subject not in images:
            raise unknown_subject(subject, sorted(images))
        image = only(images[subject])
        is_test = image.name.startswith("testing")
        if not is_test and subject not in labels:
            name = f"training_{self.view}_{subject}-label.nii.gz"
            raise missing(
                self.folder / name, subject, [path for found in labels.values() for path in found]
            )
        return SubjectFiles(
            subject,
            {"MR": image},
            None if is_test else only(labels[subject]),
            {0: 0, 1: 1, 2: 2},
            hint=_HINT,
            parameters={"view": self.view},
        )
