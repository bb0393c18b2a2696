r"""Raw data in the layout of the fastMRI challenge: one HDF5 file a subject.

fastMRI's axes are (slice, [coil], read-out, phase encoding) and its masks lie along the *last*
one, so our (ky, kx) are exchanged: image rows are y (the first posterior), columns x (the first on
the left). A file with one coil has no coil axis, as in fastMRI's single-coil track.

Source:
    Zbontar et al., arXiv:1811.08839 (2018), section 4, and the data loader published with it.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.export.ismrmrd_header import header_xml
from spinforge.datasets.export.raw_scan import RawScan
from spinforge.datasets.storage.files import replacing
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.reconstruction import root_sum_of_squares


@dataclass(frozen=True)
class FastMRIFile:
    """What such a file holds, in our axes.

    Attributes:
        kspace: (slice, coil, ky, kx).
        mask: Acquired lines, (slice, ky).
        reconstruction: Magnitude from the lines in the file, (slice, ky, kx).
        patient_id: Name of the subject.
        acquisition: Name of the sequence.
    """

    kspace: NDArray[np.complex64]
    mask: NDArray[np.bool_]
    reconstruction: NDArray[np.float32]
    patient_id: str
    acquisition: str


def write_fastmri(scan: RawScan, fully_sampled: RawScan, path: Path) -> None:
    """Write one subject; the same scan gives the same bytes.

    `mask` is (phase,) where all slices have the same lines, as in fastMRI, and (slice, phase)
    where each has its own; fastMRI's loader takes only the first form.

    Args:
        scan: The lines to write.
        fully_sampled: The same subject with every line, of which the reconstruction is.
        path: File to create or replace.
    """
    images = kspace_to_image(torch.from_numpy(fully_sampled.kspace))
    one_coil = images.shape[1] == 1
    target = (images[:, 0].abs() if one_coil else root_sum_of_squares(images)).numpy()
    target = np.ascontiguousarray(target.swapaxes(-1, -2))
    kspace = np.ascontiguousarray(scan.kspace.swapaxes(-1, -2))
    same_everywhere = bool((scan.mask == scan.mask[0]).all())
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file["ismrmrd_header"] = header_xml(scan)
        file["kspace"] = kspace[:, 0] if one_coil else kspace
        file["mask"] = scan.mask[0] if same_everywhere else scan.mask
        file["reconstruction_esc" if one_coil else "reconstruction_rss"] = target
        file.attrs["acquisition"] = scan.sequence["kind"].upper()
        file.attrs["max"] = float(target.max())
        file.attrs["norm"] = float(np.linalg.norm(target))
        file.attrs["patient_id"] = scan.subject


def read_fastmri_kspace(
    path: Path,
) -> tuple[NDArray[np.complex64], NDArray[np.bool_], str | None]:
    """Read the acquired lines of a file of fastMRI's layout, a challenge's or another program's.

    Returns:
        k-space (slice, coil, ky, kx); acquired lines (slice, ky), all of them where the file has no
        mask; the ISMRMRD header, if there is one.

    Raises:
        SpinforgeError: If it is not HDF5, or lacks k-space or has it in another layout.
    """
    try:
        with h5py.File(path, "r") as file:
            kspace = np.asarray(file["kspace"][...])
            default = np.ones(kspace.shape[-1], dtype=bool)  # fastMRI's training files have none
            mask = np.asarray(file["mask"][...] if "mask" in file else default).astype(bool)
            header = file["ismrmrd_header"][()] if "ismrmrd_header" in file else None
    except (OSError, KeyError) as error:
        raise SpinforgeError(f"{path} is not a readable fastMRI file: {error}") from error
    if kspace.ndim == 3:
        kspace = kspace[:, None]
    slices, lines = len(kspace), kspace.shape[-1]
    if (
        kspace.ndim != 4
        or kspace.dtype.kind != "c"
        or mask.shape not in ((lines,), (slices, lines))
    ):
        raise SpinforgeError(
            f"{path}: k-space of shape {kspace.shape} and type {kspace.dtype} with a mask of shape "
            f"{mask.shape} is not fastMRI's layout: complex (slice, [coil], read-out, phase), and "
            f"a mask (phase,) or (slice, phase)"
        )
    return (
        np.ascontiguousarray(kspace.swapaxes(-1, -2), dtype=np.complex64),
        np.ascontiguousarray(np.broadcast_to(mask, (slices, lines))),
        header.decode() if isinstance(header, bytes) else header,
    )


def read_fastmri(path: Path) -> FastMRIFile:
    """Read such a file back.

    Raises:
        SpinforgeError: If it is not HDF5 or lacks k-space or reconstruction.
    """
    kspace, mask, _ = read_fastmri_kspace(path)
    try:
        with h5py.File(path, "r") as file:
            name = "reconstruction_esc" if file["kspace"].ndim == 3 else "reconstruction_rss"
            target = np.asarray(file[name][...])
            patient, acquisition = (str(file.attrs[key]) for key in ("patient_id", "acquisition"))
    except (OSError, KeyError) as error:
        raise SpinforgeError(f"{path} is not a readable fastMRI file: {error}") from error
    return FastMRIFile(
        kspace=kspace,
        mask=mask,
        reconstruction=np.ascontiguousarray(target.swapaxes(-1, -2)),
        patient_id=patient,
        acquisition=acquisition,
    )
