"""NIfTI files with the same bytes every time."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.public.nifti import Header
from spinforge.datasets.storage.files import replacing


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a volume in the order NIfTI counts it: x fastest, towards right, anterior, superior.

    Args:
        path: File to create or replace, .nii.gz.
        values: (z, y, x), or (class, z, y, x) of several maps; stored as it is, unscaled.
        affine: 4 x 4, from voxel (x, y, z) to world coordinates [mm].
    """
    image = nibabel.Nifti1Image(values.T, affine)
    image.header.set_xyzt_units("mm", "sec")
    # Both forms: some programs read only one. Code 1 is the scanner's own frame.
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    _write(path, image)


def write_nifti_like(path: Path, values: NDArray[Any], original: Header) -> None:
    """Write a volume on the grid of another file, with its header: affines, codes, units, text.

    Args:
        path: File to create or replace, .nii.gz.
        values: (z, y, x), or (class, z, y, x) of several maps, as `Header.in_ras` turned them;
            stored as they are, unscaled.
        original: The other file, which must still be there.
    """
    file: Any = nibabel.load(original.path, mmap=False)
    is_second = isinstance(file.header, nibabel.Nifti2Header)
    kind: Any = nibabel.Nifti2Image if is_second else nibabel.Nifti1Image
    image = kind(original.as_stored(values), original.affine_in_file_units, file.header)
    image.set_data_dtype(values.dtype)
    # The window of grey values that viewers should show is another one.
    image.header["cal_min"] = image.header["cal_max"] = 0
    _write(path, image)


def _write(path: Path, image: Any) -> None:
    # Without the time and the file's name, which gzip would note otherwise.
    packed = gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(packed)
