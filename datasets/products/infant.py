"""Infants scanned again and again: T1- and T2-weighted volumes of a growing head, partly labelled.

A subject's group holds, with z, y, x cropped to the box around the largest of its brains:

    ages           (time,) float32        [months]
    has_label      (time, z) bool         False where `label` says nothing
    corresponding  (z, time) int16        slice of each age at the height of slice z of the last age
    ses-06mo/T1w   (z, y, x) float32      with noise; likewise T2w
    ses-06mo/label (z, y, x) uint8        what a study was given: `IGNORE` in unlabelled slices
    ses-06mo/truth (z, y, x) uint8        what a study was not given, to judge it by
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16, UInt8

from spinforge.datasets.em_segmentation import em_labels
from spinforge.datasets.products.infant_settings import InfantBric, InfantIbis
from spinforge.datasets.products.product import Made
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.config import content_hash
from spinforge.simulation.noise import draw_noise
from spinforge.simulation.phantom import target_labels
from spinforge.simulation.phantoms.infant import (
    InfantHead,
    generate_infant,
    infant_digest,
    infant_images,
)
from spinforge.simulation.phantoms.infant_relaxation import infant_signals
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import TARGET_NAMES, Tissue

CONTRASTS = ("T1w", "T2w")
NOWHERE = -1
"""In `corresponding`: that age's box does not reach so high."""

_LABELLED_BAND = (0.45, 0.65)
"""Heights among the slices with brain between which the labelled one is drawn: the basal nuclei."""

Box = tuple[slice, slice, slice]


def session(age_months: int) -> str:
    """Name of the scan at an age, as BIDS writes it."""
    return f"ses-{age_months:02d}mo"


class InfantMaker:
    """Scans every infant at every age.

    Args:
        product: Its settings.
    """

    group = "longitudinal"
    classes = TARGET_NAMES

    def __init__(self, product: InfantBric | InfantIbis) -> None:
        self._product = product

    def split(self) -> Split:
        """All subjects train and all test, at other ages; none validates, as in the paper."""
        names = tuple(self._product.names)
        return Split(train=names, validation=(), test=names)

    def check_settings(self) -> None:
        """Nothing to check: the settings check themselves."""

    def check(self) -> None:
        """Nothing to check: the generator needs no file."""

    def pending_downloads(self) -> list[str]:
        """None: the generator needs no file."""
        return []

    def finish(self, store: DatasetStore) -> None:
        """Nothing is made from all subjects together."""

    def source_digest(self, subject: str) -> str:
        """Digest of the head at all its ages."""
        product = self._product
        return content_hash(
            {
                session(age): infant_digest(
                    subject,
                    seed=product.seed,
                    age_months=float(age),
                    spacing_mm=float(product.spacing_mm),
                )
                for age in product.ages_months
            }
        )

    def expected_bytes(self) -> int:
        """Two images and two label maps of every age, uncropped."""
        voxels = 181 * 217 * 181 // self._product.spacing_mm**3
        return len(self._product.ages_months) * voxels * (2 * 4 + 2)

    def make(self, subject: str) -> Made:
        """Make one infant's scans."""
        product = self._product
        # A head at a time: its memberships are ten times as large as its images.
        scans = [_scan(product, subject, age) for age in product.ages_months]
        box = _common_box([scan["truth"] for scan in scans], product.margin_mm / product.spacing_mm)
        truths = [scan["truth"][box] for scan in scans]
        heights = [scan["heights"][box[0]] for scan in scans]
        same_height = corresponding_slices(heights)
        images = [_noisy(product, subject, scan, box) for scan in scans]
        labels, labelled_at = _labels(product, subject, images, truths, same_height)
        volume, plane = ("z", "y", "x"), ("time", "z")
        arrays = {
            "ages": StoredArray(
                np.array(product.ages_months, dtype=np.float32), ("time",), per_slice=False
            ),
            "has_label": StoredArray(labelled_slices(labels), plane, per_slice=False),
            "corresponding": StoredArray(same_height, plane[::-1], per_slice=False),
        }
        for age, contrasts, label, truth in zip(
            product.ages_months, images, labels, truths, strict=True
        ):
            for name, image in zip(CONTRASTS, contrasts, strict=True):
                arrays[f"{session(age)}/{name}"] = StoredArray(image, volume)
            arrays[f"{session(age)}/label"] = StoredArray(label, volume)
            arrays[f"{session(age)}/truth"] = StoredArray(truth, volume)
        return Made(arrays, self._provenance(subject, scans, box, labelled_at))

    def _provenance(
        self, subject: str, scans: list[dict[str, Any]], box: Box, labelled_at: int | None
    ) -> dict[str, Any]:
        product = self._product
        return {
            "phantom": {
                "source": "procedural infant",
                "sha256": self.source_digest(subject),
                "spacing_mm": product.spacing_mm,
                "parameters": {
                    session(age): scan["parameters"]
                    for age, scan in zip(product.ages_months, scans, strict=True)
                },
            },
            "targets": list(TARGET_NAMES),
            "contrasts": list(CONTRASTS),
            "labels": "one true slice" if isinstance(product, InfantBric) else "EM segmentation",
            "labelled_slice_of_last_age": labelled_at,
            "noise_sigma": {
                session(age): scan["noise_sigma"]
                for age, scan in zip(product.ages_months, scans, strict=True)
            },
            "reference_signal": {
                f"{session(age)}/{name}": signal
                for age, scan in zip(product.ages_months, scans, strict=True)
                for name, signal in zip(CONTRASTS, scan["white_matter_signal"], strict=True)
            },
            "spacing_mm": [float(product.spacing_mm)] * 3,
            "box_zyx": [[part.start, part.stop] for part in box],
            "orientation_verified": True,
        }


def _scan(product: InfantBric | InfantIbis, subject: str, age: int) -> dict[str, Any]:
    """Noise-free images and labels of the whole field of view, (z, y, x), and what made them."""
    head = generate_infant(
        subject, seed=product.seed, age_months=float(age), spacing_mm=float(product.spacing_mm)
    )
    age_of_white_matter = torch.tensor(float(age), dtype=torch.float64)
    signals = infant_signals(Tissue.WHITE_MATTER, age_of_white_matter).abs().tolist()
    truth = target_labels(head.phantom.labels).permute(2, 1, 0)
    return {
        "age": age,
        "images": infant_images(head).permute(0, 3, 2, 1).contiguous().numpy(),
        "truth": np.ascontiguousarray(truth.numpy()),
        "heights": _heights(head),
        "white_matter_signal": signals,
        "noise_sigma": [product.noise_percent / 100 * signal for signal in signals],
        "parameters": head.phantom.parameters,
    }


def _heights(head: InfantHead) -> Float[np.ndarray, " z"]:
    """Where the slices lie in the average adult head [mm]."""
    return head.grid.axes()[2].double().numpy()


def _common_box(truths: list[UInt8[np.ndarray, "z y x"]], margin_voxels: float) -> Box:
    """The box around the brains of all ages, and a margin inside the field of view."""
    brain = np.logical_or.reduce([truth > 0 for truth in truths])
    margin = round(margin_voxels)
    parts = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(brain.any(others))
        start, stop = int(found[0]) - margin, int(found[-1]) + 1 + margin
        parts.append(slice(max(0, start), min(brain.shape[axis], stop)))
    return parts[0], parts[1], parts[2]


def corresponding_slices(heights: list[Float[np.ndarray, " _z"]]) -> Int16[np.ndarray, "z time"]:
    """The slice of each age that lies at the height of each slice of the last age.

    Heads of all ages are scaled to one size, as an affine registration does; the growth of single
    lobes, a few millimetres, is left.

    Args:
        heights: Evenly spaced heights of each age's slices in the average head [mm].

    Returns:
        Nearest slices; `NOWHERE` where an age's images end before.
    """
    found = np.empty((len(heights[-1]), len(heights)), dtype=np.int16)
    for column, of_age in zip(found.T, heights, strict=True):
        step = (of_age[-1] - of_age[0]) / (len(of_age) - 1)
        nearest = np.rint((heights[-1] - of_age[0]) / step)
        inside = (nearest >= 0) & (nearest < len(of_age))
        column[:] = np.where(inside, nearest, NOWHERE)
    return found


def _noisy(
    product: InfantBric | InfantIbis, subject: str, scan: dict[str, Any], box: Box
) -> Float[np.ndarray, "contrast z y x"]:
    """Both images in the box, with noise."""
    images = np.ascontiguousarray(scan["images"][(slice(None), *box)])
    for name, image, sigma in zip(CONTRASTS, images, scan["noise_sigma"], strict=True):
        path = ("longitudinal", subject, session(scan["age"]), name)
        for index in range(len(image)):
            # The modulus of an orthonormal transform's noise: no k-space is needed.
            rng = SampleRng(product.seed, *path, f"slice-{index:03d}", "noise")
            noise = draw_noise(rng, image[index].shape, sigma).numpy()
            image[index] = np.abs(image[index] + noise)
    return images


def _labels(
    product: InfantBric | InfantIbis,
    subject: str,
    images: list[Float[np.ndarray, "contrast z y x"]],
    truths: list[UInt8[np.ndarray, "z y x"]],
    same_height: Int16[np.ndarray, "z time"],
) -> tuple[list[UInt8[np.ndarray, "z y x"]], int | None]:
    """What is known of each age, and which slice of the last age is labelled if it is only one."""
    if isinstance(product, InfantIbis):
        return [
            em_labels(image, truth > 0)
            if age in product.train_ages_months
            else np.full_like(truth, IGNORE)
            for age, image, truth in zip(product.ages_months, images, truths, strict=True)
        ], None
    usable = np.flatnonzero((truths[-1] > 0).any((1, 2)) & (same_height != NOWHERE).all(1))
    share = SampleRng(product.seed, "longitudinal", subject, "labelled").uniform(*_LABELLED_BAND)
    chosen = int(usable[int(share * len(usable))])
    labels = []
    for truth, index in zip(truths, same_height[chosen], strict=True):
        label = np.full_like(truth, IGNORE)
        label[index] = truth[index]
        labels.append(label)
    return labels, chosen


def labelled_slices(labels: list[UInt8[np.ndarray, "z y x"]]) -> Bool[np.ndarray, "time z"]:
    """Slices of which anything is known."""
    return np.stack([(label != IGNORE).any((1, 2)) for label in labels])
