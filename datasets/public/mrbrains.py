"""MRBrainS13 and MRBrainS18: 3 T brains of people above 50, segmented by hand on 3 mm slices.

Cite Mendrik et al., Comput Intell Neurosci 2015:813696 (2015). MRBrainS13 is at
doi:10.34894/645ZIN, with a Readme.txt that says what is scored; mrbrains18.isi.uu.nl describes
MRBrainS18.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from spinforge.datasets.public.layout import (
    Part,
    entries,
    missing,
    named_folder,
    one_file,
    unknown_subject,
    wrong_layout,
)
from spinforge.datasets.public.subject_files import FileSource, SubjectFiles
from spinforge.datasets.volumes import IGNORE, Collection, LabelledVolume
from spinforge.simulation.errors import SpinforgeError

MERGED = {0: 0, 1: 2, 2: 2, 3: 3, 4: 3, 5: 1, 6: 1, 7: IGNORE, 8: IGNORE}
"""Eight structures -> background, CSF, GM and WM, in the order of `tissue.TARGET_NAMES`.

Cortex and basal ganglia are grey matter, white matter lesions count as white matter, ventricles as
CSF: so the makers' evaluation has it. Cerebellum and brainstem hold several tissues each; the
makers left them out of the evaluation, whatever they are labelled as, so they are `IGNORE`.
"""

SEPARATE = {code: code for code in range(9)}
"""Cortical GM, basal ganglia, WM, WM lesions, extracerebral CSF, ventricles, cerebellum, brainstem.
"""

TESTING = {0: 0, 1: 1, 2: 2, 3: 3}
"""LabelsForTesting has the merged tissues in our own order; cerebellum and brainstem are 0."""

_NOT_SCORED_18 = {9: IGNORE, 10: IGNORE}

PAPER_SLICES_13 = {
    "training-1": range(7, 43),
    "training-2": range(9, 43),
    "training-3": range(10, 43),
    "training-4": range(8, 43),
    "training-5": range(7, 43),
}
"""Transversal slices of CRDN's experiment (Wen et al., AAAI 2020): 174, by its authors' lists."""

_TREE_13 = """
TrainingData/
  1/
    T1.nii  T1_IR.nii  T2_FLAIR.nii
    LabelsForTraining.nii  (or LabelsForTesting.nii)
  2/ ... 5/
TestData/  (not needed for training)
  1/ ... 15/
    T1.nii  T1_IR.nii  T2_FLAIR.nii
"""

_TREE_18 = """
training/
  1/
    pre/   (bias corrected)
      reg_T1.nii.gz  reg_IR.nii.gz  FLAIR.nii.gz
    orig/  (as acquired, same names)
    segm.nii.gz
  4/  5/  7/  14/  070/  148/
"""

_FOLDERS_13: dict[Part, str] = {"training": "TrainingData", "test": "TestData"}
_STEMS_13: dict[str, tuple[str, ...]] = {"T1": ("T1",), "T1-IR": ("T1_IR",), "FLAIR": ("T2_FLAIR",)}
# The registered files lie on FLAIR's grid, where the labels are.
_STEMS_18: dict[str, tuple[str, ...]] = {
    "T1": ("reg_T1", "reg_3DT1", "T1"),
    "T1-IR": ("reg_IR", "IR"),
    "FLAIR": ("FLAIR",),
}


@dataclass(frozen=True)
class MRBrainS13(FileSource):
    """Five training subjects with labels, fifteen test subjects mostly without.

    Attributes:
        folder: Holds TrainingData, and TestData if the test subjects are wanted.
        merge: CSF, GM and WM (`MERGED`); else the eight structures (`SEPARATE`).
        part: Which subjects there are: "training-1" to "training-5", "test-1" to "test-15".
    """

    collection: ClassVar = Collection(
        "MRBrainS13",
        "Mendrik et al., Comput Intell Neurosci 2015:813696 (2015); doi:10.34894/645ZIN",
    )

    folder: Path
    merge: bool = True
    part: Literal["training", "test", "all"] = "training"

    def subjects(self) -> list[str]:
        """Every subject of the chosen part, sorted.

        Raises:
            SpinforgeError: If the folder is not MRBrainS13.
        """
        return sorted(self._folders())

    def paper_slices(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Training and test slices of CRDN's experiment, as (subject, slice from below).

        Of all 174 slices in order, the second and the fourth of every five are for the test. So
        neighbouring slices of one brain lie in both sets, and the numbers published with this
        split are too good for an unseen brain.

        Returns:
            104 training slices and 70 test slices.
        """
        slices = [(name, index) for name, kept in PAPER_SLICES_13.items() for index in kept]
        test = [item for place, item in enumerate(slices) if place % 5 in (1, 3)]
        return [item for item in slices if item not in test], test

    def _folders(self) -> dict[str, Path]:
        parts = [name for name in _FOLDERS_13 if self.part in (name, "all")]
        found: dict[str, Path] = {}
        for part in parts:
            above = named_folder(self.folder, _FOLDERS_13[part])
            for path in entries(above) if above else ():
                if path.is_dir():
                    found[f"{part}-{path.name}"] = path
        if not found:
            raise wrong_layout(self.folder, "MRBrainS13", _TREE_13)
        return found

    def _files(self, subject: str) -> SubjectFiles:
        folders = self._folders()
        if subject not in folders:
            raise unknown_subject(subject, sorted(folders))
        folder = folders[subject]
        labels = one_file(folder, "LabelsForTraining")
        codes = MERGED if self.merge else SEPARATE
        if labels is None:
            labels, codes = one_file(folder, "LabelsForTesting"), TESTING
        if labels is None and subject.startswith("training"):
            raise missing(folder / "LabelsForTraining.nii", subject, entries(folder))
        if labels is not None and codes is TESTING and not self.merge:
            raise SpinforgeError(
                f"{labels} has merged tissues only, but merge is false: the eight structures are "
                f"in {folder / 'LabelsForTraining.nii'}, which is missing. Set merge to true."
            )
        return SubjectFiles(
            subject,
            _contrasts(folder, _STEMS_13, subject),
            labels,
            codes,
            parameters={"label_file": labels and labels.name.split(".")[0]},
        )

    def _finished(self, volume: LabelledVolume, files: SubjectFiles) -> LabelledVolume:
        """The same volume, after a check of what LabelsForTesting means.

        Such a file carries no names, so the order of its tissues is checked on the image: on T1,
        CSF is darker than GM, and GM than WM. Volumes would not tell as safely: at 65 to 80 years
        there may be more CSF than WM.
        """
        if files.labels is not None and files.codes == TESTING:
            _check_order(files.labels, volume)
        return volume


@dataclass(frozen=True)
class MRBrainS18(FileSource):
    """Seven training subjects with ten labelled structures; infarcts and "other" are not scored.

    The names of folders and files are those that public readers of the set use.

    Attributes:
        folder: Holds training/, or the subjects themselves.
        merge: CSF, GM and WM (`MERGED`); else structures 1 to 8 (`SEPARATE`). Labels 9 and 10,
            infarctions and other lesions, have no effect on the challenge's scores: `IGNORE`.
        images: "pre" for bias-corrected images, "orig" for those as acquired.
    """

    collection: ClassVar = Collection(
        "MRBrainS18",
        "Mendrik et al., Comput Intell Neurosci 2015:813696 (2015); mrbrains18.isi.uu.nl",
    )

    folder: Path
    merge: bool = True
    images: Literal["pre", "orig"] = "pre"

    def subjects(self) -> list[str]:
        """Every subject, sorted, such as "070" and "1".

        Raises:
            SpinforgeError: If the folder is not MRBrainS18.
        """
        return sorted(self._folders())

    def _folders(self) -> dict[str, Path]:
        above = named_folder(self.folder, "training") or self.folder
        found = {
            path.name: path
            for path in (entries(above) if above.is_dir() else ())
            if any((path / name).is_dir() for name in ("pre", "orig"))
        }
        if not found:
            raise wrong_layout(self.folder, "MRBrainS18", _TREE_18)
        return found

    def _files(self, subject: str) -> SubjectFiles:
        folders = self._folders()
        if subject not in folders:
            raise unknown_subject(subject, sorted(folders))
        folder = folders[subject]
        labels = one_file(folder, "segm")
        if labels is None:
            raise missing(folder / "segm.nii.gz", subject, entries(folder))
        return SubjectFiles(
            subject,
            _contrasts(folder / self.images, _STEMS_18, subject),
            labels,
            (MERGED if self.merge else SEPARATE) | _NOT_SCORED_18,
            parameters={"images": self.images},
        )


def _contrasts(folder: Path, stems: dict[str, tuple[str, ...]], subject: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for contrast, names in stems.items():
        path = one_file(folder, *names)
        if path is None:
            siblings = entries(folder) if folder.is_dir() else []
            raise missing(folder / f"{names[0]}.nii", subject, siblings)
        found[contrast] = path
    return found


def _check_order(path: Path, volume: LabelledVolume) -> None:
    """Raise SpinforgeError unless labels 1, 2 and 3 grow brighter on T1."""
    labels = np.asarray(volume.labels)
    of_tissue = [volume.contrasts["T1"][labels == tissue] for tissue in (1, 2, 3)]
    csf, gm, wm = (float(values.mean()) if values.size else float("nan") for values in of_tissue)
    if not csf < gm < wm:
        raise SpinforgeError(
            f"{path}: labels 1, 2 and 3 have mean T1 intensities {csf:.4g}, {gm:.4g} and {wm:.4g}; "
            f"CSF, GM and WM, in this order, grow brighter. The file is not MRBrainS13's "
            f"LabelsForTesting; take LabelsForTraining."
        )
