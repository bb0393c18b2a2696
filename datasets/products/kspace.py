"""Sets of k-space such as SERANet's: labelled, noisy raw data, one scan a subject."""

import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from spinforge.datasets.brainweb.twenty import subjects_in
from spinforge.datasets.label_maps import LabelMaps
from spinforge.datasets.phantoms import BrainWeb0, BrainWeb20, PhantomSource, ProceduralHeads
from spinforge.datasets.products.kspace_settings import KSpaceProduct as KSpaceProduct
from spinforge.datasets.products.product import Made
from spinforge.datasets.splits import Split, Subjects, split_subjects
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.acquisition import Scan, simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise, check_noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.reconstruction import intensity_scale, zero_filled_combined
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import draw_line_mask
from spinforge.simulation.scanner import Scanner, check_readout
from spinforge.simulation.sequences import PulseSequence
from spinforge.simulation.slices import Slices, matrix_size, voxels_per_slice
from spinforge.simulation.tissue import TARGET_NAMES, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

logger = logging.getLogger(__name__)

FIXED_MASK = "fixed"


def phantom_source(product: KSpaceProduct) -> PhantomSource:
    """The collection this product scans, on the grid of its object."""
    spacing_mm = product.spacing_mm / product.scanner.supersample
    if product.phantom == "procedural":
        return ProceduralHeads(
            product.subjects.total,
            product.subjects.named,
            seed=product.seed,
            spacing_mm=spacing_mm,
        )
    assert product.path is not None
    if product.phantom == "brainweb0":
        return BrainWeb0(product.path)
    if product.labels is not None:
        return LabelMaps(product.path, product.labels, spacing_mm=spacing_mm)
    return BrainWeb20(
        product.path, fuzzy=product.fuzzy, complete=product.download, spacing_mm=spacing_mm
    )


def check_split(product: KSpaceProduct) -> None:
    """Check that networks may be trained and tested on the product's subjects.

    Raises:
        SpinforgeError: If they are one head.
    """
    if product.phantom == "brainweb0":
        raise SpinforgeError(
            "data.phantom = brainweb0: BrainWeb's subject 0 and its MS models are the same head, "
            "so a network trained on one has seen what it would be tested on. Only generate, "
            "inspect and info take it; train and test on brainweb20 or procedural heads."
        )


class KSpaceMaker:
    """Scans every phantom of a k-space set.

    Args:
        product: Its settings.
    """

    group = "kspace"
    classes = TARGET_NAMES

    def __init__(self, product: KSpaceProduct) -> None:
        self._product = product

    def split(self) -> Split:
        """Names of the training, validation and test subjects.

        The models of subject 0 are one group, those named under `train` or all that are there:
        numbers of subjects do not apply to them.
        """
        product = self._product
        available, wanted = phantom_source(product).subjects(), product.subjects
        if product.phantom == "brainweb0":
            chosen = len(available) if isinstance(wanted.train, int) else wanted.train
            wanted = Subjects(train=chosen, validation=0, test=0)
        return split_subjects(wanted, available)

    def check_settings(self) -> None:
        """Check that lines, slices, readout and noise fit.

        Raises:
            SpinforgeError: If they do not.
        """
        product = self._product
        # What does not fit, does so for every random number.
        draw_line_mask(product.sampling, _matrix(product)[0], SampleRng(product.seed, "check"))
        voxels_per_slice(product.slices, float(product.spacing_mm))
        check_readout(product.scan, product.scanner)
        check_noise(product.noise, product.scan)

    def check(self) -> None:
        """Check lines, slices, readout and noise, and the files that are there.

        Raises:
            SpinforgeError: For a missing or damaged file, or what does not fit.
        """
        self.check_settings()
        source, later = phantom_source(self._product), self.pending_downloads()
        for subject in self.split().everyone:
            if subject not in later:
                source.check(subject)

    def pending_downloads(self) -> list[str]:
        """Subjects whose file will be fetched first."""
        product = self._product
        if not product.download or product.path is None:
            return []
        there = subjects_in(product.path)
        return [subject for subject in self.split().everyone if subject not in there]

    def source_digest(self, subject: str) -> str:
        """Digest of the phantom."""
        return phantom_source(self._product).digest(subject)

    def expected_bytes(self) -> int:
        """k-space, maps, an image, soft and hard labels."""
        height, width = _matrix(self._product)
        per_voxel = 8 * 2 * self._product.scanner.coils + 8 + 1 + 4
        return self._product.slices.count * height * width * per_voxel

    def make(self, subject: str) -> Made:
        """Simulate one subject's scan."""
        product = self._product
        phantom = self.load_phantom(subject)
        scan = simulate_scan(
            phantom,
            product.slices,
            product.scan,
            product.noise,
            product.scanner,
            seed=product.seed,
        )
        masks = fixed_masks(product, subject)
        return Made(_arrays(scan, masks), _provenance(product, phantom, scan))

    def clean_scans(self) -> dict[str, tuple[PulseSequence, Scanner]]:
        """Sequence and scanner of the k-space, as corruptions that scan again change them."""
        return {"full": (self._product.scan, self._product.scanner)}

    def load_phantom(self, subject: str) -> Phantom:
        """The head that is scanned."""
        return phantom_source(self._product).load(subject)

    def rescan(
        self,
        phantom: Phantom,
        contrast: str,
        sequence: PulseSequence,
        scanner: Scanner,
        clean: dict[str, Any],
    ) -> dict[str, StoredArray]:
        """Scan again, with as much noise as the clean scan had."""
        product = self._product
        # Noise does not know the echo time: its level is the clean scan's, not a percentage of
        # whatever white matter looks like now.
        noise = Noise(percent=100 * clean["scan"]["noise_std"], reference="absolute")
        scan = simulate_scan(phantom, product.slices, sequence, noise, scanner, seed=product.seed)
        arrays = _arrays(scan, fixed_masks(product, phantom.subject))
        return {name: arrays[name] for name in (contrast, "te", "tr")}

    def finish(self, store: DatasetStore) -> None:
        """Nothing: every slice of every subject is used."""


def fixed_masks(product: KSpaceProduct, subject: str) -> torch.Tensor:
    """The line mask of every slice that validation and test always use, (slice, ky) bool."""
    n_lines = _matrix(product)[0]
    return torch.stack(
        [
            draw_line_mask(
                product.sampling,
                n_lines,
                SampleRng(product.seed, "kspace", subject, f"slice-{index:03d}", "mask"),
            )
            for index in range(product.slices.count)
        ]
    )


def _matrix(product: KSpaceProduct) -> tuple[int, int]:
    """Phase-encoding lines and readout samples."""
    n_lines, n_samples, _ = matrix_size(float(product.spacing_mm))
    return n_lines, n_samples


def _arrays(scan: Scan, masks: torch.Tensor) -> dict[str, StoredArray]:
    """The arrays of one subject, as `store.py` lays them out."""
    n_slices = len(scan.kspace)
    plane = ("ky", "kx")
    scale = torch.cat([_intensity_scale(scan, masks, index) for index in range(n_slices)])

    def per_slice(value: float) -> StoredArray:
        values = np.full(n_slices, value, dtype=np.float32)
        return StoredArray(values, ("slice",), per_slice=False)

    soft = (scan.target_soft * 255).round().to(torch.uint8).numpy()
    return {
        "full": StoredArray(scan.kspace.numpy(), ("slice", "coil", *plane)),
        "coil_maps": StoredArray(
            scan.coil_maps.numpy(),
            ("slice" if len(scan.coil_maps) == n_slices else "every_slice", "coil", *plane),
        ),
        "image_clean": StoredArray(scan.image.numpy(), ("slice", *plane)),
        "target": StoredArray(scan.target.numpy(), ("slice", *plane)),
        "target_soft": StoredArray(soft, ("slice", "target", *plane)),
        "noise_sigma": per_slice(scan.noise_std),
        "te": per_slice(scan.te),
        "tr": per_slice(scan.tr),
        "wm_signal": per_slice(scan.white_matter_signal),
        "scale": StoredArray(scale.numpy(), ("slice",), per_slice=False),
        f"masks/{FIXED_MASK}": StoredArray(masks.numpy(), ("slice", "ky"), per_slice=False),
    }


def _intensity_scale(scan: Scan, masks: torch.Tensor, index: int) -> torch.Tensor:
    """Scale of one slice, (1,); of all at once, the images of all coils take much memory."""
    maps = scan.coil_maps if len(scan.coil_maps) == 1 else scan.coil_maps[index : index + 1]
    one = slice(index, index + 1)
    return intensity_scale(zero_filled_combined(scan.kspace[one], masks[one], maps))


def _provenance(product: KSpaceProduct, phantom: Phantom, scan: Scan) -> dict[str, Any]:
    return {
        "phantom": {
            "source": phantom.source,
            "sha256": phantom.digest,
            "spacing_mm": phantom.spacing_mm,
            "parameters": phantom.parameters,
            "tissue_above_slices": _tissue_above(phantom, product.slices),
        },
        "tissue_set": product.scanner.tissue_set,
        "relaxation": {
            tissue.name: asdict(TISSUE_SETS[product.scanner.tissue_set].properties[tissue])
            for tissue in phantom.tissues
        },
        "targets": list(TARGET_NAMES),
        "target_soft_scale": 1 / 255,
        "scan": scan.drawn,
        "spacing_mm": [
            product.slices.thickness_mm,
            float(product.spacing_mm),
            float(product.spacing_mm),
        ],
        # BrainWeb: x may be mirrored.
        "orientation_verified": phantom.parameters.get(
            "orientation_verified", phantom.source == "procedural"
        ),
    }


def _tissue_above(phantom: Phantom, slices: Slices) -> int:
    """Voxels of CSF, GM or WM above the last slice; the field of view should hold them all."""
    top = round(slices.count * slices.thickness_mm / phantom.spacing_mm)
    above = phantom.memberships[Tissue.CSF : Tissue.WHITE_MATTER + 1, :, :, top:]
    voxels = int((above.sum(0) > 0.5).sum())
    if voxels:
        logger.warning(
            "%s: %d voxels of CSF, GM or WM lie above the last of %d slices",
            phantom.subject,
            voxels,
            slices.count,
        )
    return voxels
