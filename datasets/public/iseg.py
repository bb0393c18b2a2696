"""iSeg-2017 and iSeg-2019: T1- and T2-weighted brains of infants aged about six months.

Cite Wang et al., doi:10.1109/TMI.2019.2901712 (2019), and Sun et al., arXiv:2007.02096 (2020).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from spinforge.datasets.public.layout import (
    Part,
    entries,
    missing,
    named_folder,
    unknown_subject,
    wrong_layout,
)
from spinforge.datasets.public.subject_files import FileSource, SubjectFiles
from spinforge.datasets.volumes import Collection
from spinforge.simulation.errors import SpinforgeError

CODES = {0: 0, 10: 1, 150: 2, 250: 3}
"""Value in the label map -> background, CSF, GM and WM."""

_PARTS: dict[Part, str] = {"training": "Training", "validation": "Validation", "test": "Testing"}
# One archive of the challenge writes t1 where the others write T1.
_NAME = re.compile(r"(subject-\d+)-([tT][12]|label)\.(hdr|img)")

_TREE = """
iSeg-{year}-Training/
  subject-1-T1.hdr  subject-1-T1.img
  subject-1-T2.hdr  subject-1-T2.img
  subject-1-label.hdr  subject-1-label.img
  subject-2-T1.hdr ... subject-10-label.img
{others}  (not needed for training)
  subject-11-T1.hdr ...  (no labels)
"""

Files = dict[tuple[str, str], Path]


@dataclass(frozen=True)
class _ISeg(FileSource):
    """Both editions; they differ in their names only."""

    folder: Path
    part: Literal["training", "validation", "test", "all"] = "training"
    year: ClassVar[int]

    def subjects(self) -> list[str]:
        """Every subject of the chosen part, sorted as text.

        Raises:
            SpinforgeError: If the folder is not of this edition.
        """
        return sorted(_subjects(self.folder, self.year, self.part))

    def _files(self, subject: str) -> SubjectFiles:
        return _subject_files(self.folder, self.year, self.part, subject)


class ISeg2017(_ISeg):
    """Ten training subjects with labels, thirteen test subjects without.

    Analyze headers do not say which way an axis points: left and right may be exchanged.

    Attributes:
        folder: Holds iSeg-2017-Training, and iSeg-2017-Testing if the test subjects are wanted.
        part: Which subjects there are: "subject-1" to "subject-10" (training), 11 to 23 (test).
    """

    collection: ClassVar = Collection(
        "iSeg-2017",
        "Wang et al., doi:10.1109/TMI.2019.2901712 (2019)",
    )

    year = 2017


class ISeg2019(_ISeg):
    """Ten training subjects with labels; validation and test subjects, of other sites, without.

    Analyze headers do not say which way an axis points: left and right may be exchanged.

    Attributes:
        folder: Holds iSeg-2019-Training, and -Validation and -Testing if those are wanted.
        part: Which subjects there are: "subject-1" to "subject-10" (training), 11 to 23
            (validation), 24 to 39 (test).
    """

    collection: ClassVar = Collection(
        "iSeg-2019",
        "Sun et al., arXiv:2007.02096 (2020)",
    )

    year = 2019


def _subjects(folder: Path, year: int, wanted: str) -> dict[str, tuple[Part, Path]]:
    """Part and folder of each subject."""
    found: dict[str, tuple[Part, Path]] = {}
    for part, name in _PARTS.items():
        above = named_folder(folder, f"iSeg-{year}-{name}")
        if above is None or wanted not in (part, "all"):
            continue
        for subject in {name for name, _ in _files_in(above, "hdr") | _files_in(above, "img")}:
            if subject in found:
                raise SpinforgeError(
                    f"{subject} lies in {found[subject][1]} and in {above}: take one of the two "
                    f"away."
                )
            found[subject] = (part, above)
    if not found:
        others = " or ".join(f"iSeg-{year}-{name}/" for name in ("Validation", "Testing"))
        raise wrong_layout(folder, f"iSeg-{year}", _TREE.format(year=year, others=others))
    return found


def _files_in(folder: Path, suffix: str) -> Files:
    """Files with a suffix, by subject and by what they show: t1, t2 or label."""
    matches = ((path, _NAME.fullmatch(path.name)) for path in entries(folder))
    return {
        (match[1], match[2].lower()): path
        for path, match in matches
        if match and match[3] == suffix
    }


def _subject_files(folder: Path, year: int, wanted: str, subject: str) -> SubjectFiles:
    subjects = _subjects(folder, year, wanted)
    if subject not in subjects:
        raise unknown_subject(subject, sorted(subjects))
    part, above = subjects[subject]
    headers, voxels = _files_in(above, "hdr"), _files_in(above, "img")
    has_labels = part == "training" or bool({*headers, *voxels} & {(subject, "label")})
    contents = {"t1": "T1", "t2": "T2"} | ({"label": "label"} if has_labels else {})
    for content, name in contents.items():
        for files, suffix in ((headers, "hdr"), (voxels, "img")):
            if (subject, content) not in files:
                siblings = [p for p in entries(above) if p.name.lower().startswith(f"{subject}-")]
                raise missing(above / f"{subject}-{name}.{suffix}", subject, siblings)
    return SubjectFiles(
        subject,
        {"T1": headers[subject, "t1"], "T2": headers[subject, "t2"]},
        headers.get((subject, "label")) if has_labels else None,
        CODES,
        parameters={"part": part},
    )
