"""A network whose answer is known, an object that looks like none of its mirror images, files."""

from pathlib import Path

import nibabel
import numpy as np
import torch
from torch import nn

from spinforge.datasets.reading.slice_format import SliceFormat, image_planes
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import LoadedNetwork

CLASSES = ("background", "CSF", "GM", "WM")
UNET = UNetConfig(kind="unet", width=2)


class Levels(nn.Module):
    """Class k where the first channel is nearest to k / 3."""

    def forward(self, image):
        levels = torch.arange(4, device=image.device)[:, None, None]
        return -8 * (3 * image[:, :1] - levels).square()


class Above(nn.Module):
    """Two classes, the probability of the second being the first channel itself."""

    def forward(self, image):
        inside = image[:, :1].clamp(1e-6, 1 - 1e-6)
        return torch.cat((torch.log(1 - inside), torch.log(inside)), dim=1)


def image_format(**changes) -> SliceFormat:
    """One contrast, T1, in axial slices of 1 mm pixels."""
    plain = SliceFormat(
        content="image",
        channels=("T1",),
        scaling="volume",
        planes=image_planes(("axial",), (3.0, 1.0, 1.0)),
        size=(16, 16),
        is_padded=True,
        class_names=CLASSES,
    )
    return plain.model_copy(update=changes)


def planted(network: nn.Module, n_classes: int = 4, **changes) -> LoadedNetwork:
    """A network that is no U-Net behind a U-Net's configuration."""
    reads = image_format(class_names=CLASSES[:n_classes], **changes)
    return LoadedNetwork(network.eval(), UNET, len(reads.channels), n_classes, reads)


def asymmetric(shape=(7, 9, 11)) -> np.ndarray:
    """Labels 0 to 3, (z, y, x): three blocks of different sizes along three axes."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[1:5, 1:7, 2:9] = 1
    labels[1:4, 4:7, 2:6] = 2
    labels[2:5, 1:4, 6:9] = 3
    return labels


def write_stored(path: Path, zyx: np.ndarray, codes: str, mm_xyz, origin=(-7.0, 3.0, 11.0)) -> None:
    """Write a volume with its axes stored as `codes` says, such as "LPS" or "SAR"."""
    affine = np.diag([*mm_xyz, 1.0])
    affine[:3, 3] = origin
    values = zyx.astype(np.uint8) if zyx.dtype == np.bool_ else zyx
    plain = nibabel.Nifti1Image(values.T, affine)
    ornt = nibabel.orientations.axcodes2ornt(codes)
    image = plain.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), ornt)
    )
    image.set_sform(image.affine, code=2)
    image.set_qform(image.affine, code=3)
    image.header["descrip"] = b"a scan"
    nibabel.save(image, path)
