"""NIfTI files with the same bytes every time."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.storage.files import replacing


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a volume in the order NIfTI counts it: x fastest, towards right, anterior, superior.

    Args:
        path: File to create or replace, .nii.gz.
        values: (z, y, x); stored as it is, unscaled.
        affine: 4 x 4, from voxel (x, y, z) to world coordinates [mm].
    """
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm", "sec")
    # Both forms: some programs read only one. Code 1 is the scanner's own frame.
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    # Without the time and the file's name, which gzip would note otherwise.
    packed = gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(packed)
