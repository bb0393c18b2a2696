"""Writes small MINC1 files, which are NetCDF 3 files with agreed names."""

import gzip
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file


def write_minc(path: Path, values_zyx: np.ndarray, *, real_max: float = 255.0) -> None:
    """Store uint8 voxels whose real value is voxel * real_max / 255.

    NetCDF 3 knows signed bytes only; MINC says in `signtype` how to read them.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    with netcdf_file(plain, "w") as file:
        names = ("zspace", "yspace", "xspace")
        for name, size in zip(names, values_zyx.shape, strict=True):
            file.createDimension(name, size)
            axis = file.createVariable(name, "i4", ())
            axis.spacing, axis.step, axis.start = b"regular__", 0.5, -72.25
        image = file.createVariable("image", "i1", names)
        image.signtype = b"unsigned"
        image.valid_range = np.array([0.0, 255.0])
        image[:] = values_zyx.view(np.int8)
        file.createVariable("image-min", "f8", ()).data[...] = 0.0
        file.createVariable("image-max", "f8", ()).data[...] = real_max
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        plain.unlink()
