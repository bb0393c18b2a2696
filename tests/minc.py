"""Writes small MINC1 files, which are NetCDF 3 files with agreed names."""

import gzip
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file


def write_minc(
    path: Path,
    values_zyx: np.ndarray,
    *,
    real_max: float | np.ndarray = 255.0,
    names: tuple[str, str, str] = ("zspace", "yspace", "xspace"),
    step: float = 0.5,
    lacking: int = 0,
) -> None:
    """Store 8-bit voxels whose real value spans 0 to `real_max` over the range of their type.

    NetCDF 3 knows signed bytes only; MINC says in `signtype` how to read them.

    Args:
        path: File to write, compressed if it ends with .gz.
        values_zyx: uint8 or int8 voxels.
        real_max: Real value of the largest voxel, for all planes or one each.
        names: Axes in the order of storage.
        step: Distance of the voxels.
        lacking: Bytes cut off the end, where the scalar `rootvariable` lies.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    limits = np.iinfo(values_zyx.dtype)
    scaled_by = names[: np.ndim(real_max)]
    with netcdf_file(plain, "w") as file:
        for name, size in zip(names, values_zyx.shape, strict=True):
            file.createDimension(name, size)
            axis = file.createVariable(name, "i4", ())
            axis.spacing, axis.step, axis.start = b"regular__", step, -72.25
        image = file.createVariable("image", "i1", names)
        image.signtype = b"unsigned" if limits.min == 0 else b"signed__"
        image.valid_range = np.array([limits.min, limits.max], dtype=float)
        image[:] = values_zyx.view(np.int8)
        file.createVariable("image-min", "f8", scaled_by).data[...] = 0.0
        file.createVariable("image-max", "f8", scaled_by).data[...] = real_max
        file.createVariable("rootvariable", "i4", ()).data[...] = 0
    content = plain.read_bytes()
    plain.write_bytes(content[: len(content) - lacking])
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        plain.unlink()
