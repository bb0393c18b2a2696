"""ISIC 2017, part 1: photographs of skin lesions with their outlines.

Cite Codella et al., arXiv:1710.05006 (2017); the data are at challenge.isic-archive.com.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinforge.datasets.brainweb.files import files_digest
from spinforge.datasets.public.layout import (
    Part,
    entries,
    missing,
    named_folder,
    unknown_subject,
    wrong_layout,
)
from spinforge.datasets.public.nifti import coded
from spinforge.datasets.splits import Split
from spinforge.datasets.volumes import Collection, LabelledVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError

PARTS: dict[Part, tuple[str, str]] = {
    "training": ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
    "validation": ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"),
    "test": ("ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth"),
}
"""Folders of the photographs and of the outlines."""

PART_SIZES: dict[Part, int] = {"training": 2000, "validation": 150, "test": 600}
"""Photographs in each part; HLE-Net uses the three parts as they are (Wang et al., MLMI 2019)."""

CHANNELS = ("red", "green", "blue")

# The largest photographs of the set have some 30 million pixels.
_MOST_PIXELS = 2**26
_READING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

_TREE = """
ISIC-2017_Training_Data/
  ISIC_0000000.jpg  ISIC_0000000_superpixels.png  ...
ISIC-2017_Training_Part1_GroundTruth/
  ISIC_0000000_segmentation.png  ...
ISIC-2017_Validation_Data/
ISIC-2017_Validation_Part1_GroundTruth/
ISIC-2017_Test_v2_Data/
ISIC-2017_Test_v2_Part1_GroundTruth/
(each part with its ground truth; not all three need be there)
"""


@dataclass(frozen=True)
class ISIC2017:
    """Photographs of skin; each is a subject with one slice.

    Attributes:
        folder: Holds the folders of one part or more, directly or one level below.
        size: Rows and columns that are delivered, whatever the shape of the photograph, as the
            paper has it. The photograph is averaged with a triangle as wide as two new pixels
            (Pillow's bilinear filter); of the mask, the nearest pixel is taken.
        part: Which photographs there are; "all" means those of every part that is there.
    """

    collection: ClassVar = Collection(
        "ISIC 2017",
        "Codella et al., arXiv:1710.05006 (2017); challenge.isic-archive.com",
    )

    folder: Path
    size: tuple[int, int] = (192, 256)
    part: Literal["training", "validation", "test", "all"] = "all"

    def subjects(self) -> list[str]:
        """Every photograph of the chosen parts, sorted, such as "ISIC_0000000".

        Raises:
            SpinforgeError: If the folder is not ISIC 2017, or a mask has no photograph.
        """
        return sorted(self._photographs())

    def subjects_of(self, part: Part) -> list[str]:
        """Every photograph of a part, sorted; none if the part is not there or not chosen.

        Raises:
            SpinforgeError: As `subjects`.
        """
        photographs = self._photographs()
        return sorted(name for name, (_, of) in photographs.items() if of == part)

    def paper_split(self) -> Split:
        """The three official parts.

        Raises:
            SpinforgeError: As `subjects`.
        """
        return Split(
            train=tuple(self.subjects_of("training")),
            validation=tuple(self.subjects_of("validation")),
            test=tuple(self.subjects_of("test")),
        )

    def check(self, subject: str) -> None:
        """See that photograph and mask are there and of one size; reads headers.

        Raises:
            SpinforgeError: If one is missing, no picture, or of another size.
        """
        photograph, mask, _ = self._files(subject)
        _check_same_size(photograph, _pixels(photograph)[0], mask, _pixels(mask)[0])

    def digest(self, subject: str) -> str:
        """SHA-256 of the two files and of the size they are brought to."""
        photograph, mask, _ = self._files(subject)
        return content_hash({"files": files_digest([photograph, mask]), "size": list(self.size)})

    def load(self, subject: str) -> LabelledVolume:
        """Read a photograph and its mask.

        Rows run downwards, as in the photograph. Its scale is unknown: a pixel counts as 1 mm.

        Returns:
            Contrasts "red", "green" and "blue", (1, rows, columns) uint8; labels 0 and 1.

        Raises:
            SpinforgeError: If a file is missing, damaged or not what it should be.
        """
        photograph, mask, part = self._files(subject)
        (width, height), picture = _pixels(photograph, decoded=True)
        mask_size, outline = _pixels(mask, decoded=True)
        _check_same_size(photograph, (width, height), mask, mask_size)
        if picture.mode != "RGB":
            raise SpinforgeError(f"{photograph} has mode {picture.mode}, expected RGB.")
        if outline.mode not in ("1", "L"):
            raise SpinforgeError(f"{mask} has mode {outline.mode}, expected one grey channel.")
        rows, columns = self.size
        labels = coded(mask, np.asarray(outline.convert("L")), {0: 0, 255: 1})
        colours = np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))
        return LabelledVolume(
            subject=subject,
            contrasts={
                name: np.ascontiguousarray(colours[None, :, :, channel])
                for channel, name in enumerate(CHANNELS)
            },
            labels=_nearest(labels, rows, columns)[None],
            spacing_mm=(1.0, 1.0, 1.0),
            affine=np.eye(4),
            parameters={
                "part": part,
                "photograph_size": [height, width],
                "scale_known": False,
                "collection": asdict(self.collection),
            },
        )

    def _photographs(self) -> dict[str, tuple[Path, Part]]:
        """Photograph and part of each subject."""
        found: dict[str, tuple[Path, Part]] = {}
        for part, (data, truth) in PARTS.items():
            above = named_folder(self.folder, data)
            if above is None or self.part not in (part, "all"):
                continue
            for path in entries(above):
                # Beside each photograph lies ISIC_*_superpixels.png, which nobody needs here.
                if path.suffix == ".jpg" and path.name.startswith("ISIC_"):
                    _check_new(path, found)
                    found[path.stem] = (path, part)
            _check_masks(named_folder(self.folder, truth), above, found)
        if not found:
            raise wrong_layout(self.folder, "ISIC 2017", _TREE)
        return found

    def _files(self, subject: str) -> tuple[Path, Path, Part]:
        """Photograph, mask and part; without a look at the other photographs."""
        for part, (data, truth) in PARTS.items():
            above = named_folder(self.folder, data)
            if above is None or self.part not in (part, "all"):
                continue
            photograph = above / f"{subject}.jpg"
            if photograph.is_file():
                masks = named_folder(self.folder, truth) or self.folder / truth
                mask = masks / f"{subject}_segmentation.png"
                if not mask.is_file():
                    raise missing(mask, subject, entries(masks) if masks.is_dir() else [])
                return photograph, mask, part
        raise unknown_subject(subject, self.subjects())


def _check_new(path: Path, found: dict[str, tuple[Path, Part]]) -> None:
    if path.stem in found:
        raise SpinforgeError(
            f"{path} and {found[path.stem][0]} have the same name: a photograph must be in one "
            f"part only. Unpack the archives again."
        )


def _check_masks(masks: Path | None, photographs: Path, found: dict[str, Any]) -> None:
    for path in entries(masks) if masks else ():
        name = path.name.removesuffix("_segmentation.png")
        if path.name.endswith("_segmentation.png") and name not in found:
            raise SpinforgeError(
                f"{path} has no photograph: {photographs / f'{name}.jpg'} is missing. Unpack the "
                f"archive again."
            )


def _pixels(path: Path, *, decoded: bool = False) -> tuple[tuple[int, int], Image.Image]:
    """Width and height of a picture, and the picture, which is closed unless it was decoded."""
    form = "JPEG" if path.suffix == ".jpg" else "PNG"
    try:
        with Image.open(path, formats=(form,)) as picture:
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise SpinforgeError(
                    f"{path} asks for {width} x {height} pixels: it is no photograph."
                )
            if decoded:
                picture.load()
            return (width, height), picture
    except _READING_ERRORS as error:
        raise SpinforgeError(
            f"{path} is missing, damaged or no {form} file ({error}). Unpack the archive again."
        ) from error


def _check_same_size(
    photograph: Path, size: tuple[int, int], mask: Path, mask_size: tuple[int, int]
) -> None:
    if size != mask_size:
        raise SpinforgeError(
            f"{photograph} has {size[0]} x {size[1]} pixels and {mask} has {mask_size[0]} x "
            f"{mask_size[1]} (width x height). Take both from the same part."
        )


def _nearest(labels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """The pixel in which the centre of each new pixel lies."""
    return np.asarray(
        Image.fromarray(labels).resize((columns, rows), Image.Resampling.NEAREST), dtype=np.uint8
    )
