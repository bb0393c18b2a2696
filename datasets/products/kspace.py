"""Sets of k-space such as SERANet's: labelled, noisy raw data, one scan a subject."""

import importlib.metadata
import logging
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from spinforge.datasets.arrays import StoredArray
from spinforge.datasets.brainweb import subjects_in
from spinforge.datasets.code_version import code_version
from spinforge.datasets.phantoms import BrainWeb0, BrainWeb20, PhantomSource, ProceduralHeads
from spinforge.datasets.products.kspace_settings import KSpaceProduct as KSpaceProduct
from spinforge.datasets.splits import Split, Subjects, split_subjects
from spinforge.datasets.store import KSpaceStore
from spinforge.simulation.acquisition import Scan, simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import check_noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.reconstruction import intensity_scale, zero_filled_combined
from spinforge.simulation.rng import RNG_SCHEME, SampleRng
from spinforge.simulation.sampling import draw_line_mask
from spinforge.simulation.scanner import check_readout
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
    return BrainWeb20(
        product.path, fuzzy=product.fuzzy, complete=product.download, spacing_mm=spacing_mm
    )


def split_of(product: KSpaceProduct) -> Split:
    """Names of the training, validation and test subjects.

    The models of subject 0 are one group, those named under `train` or all that are there: numbers
    of subjects do not apply to them.
    """
    available, wanted = phantom_source(product).subjects(), product.subjects
    if product.phantom == "brainweb0":
        chosen = len(available) if isinstance(wanted.train, int) else wanted.train
        wanted = Subjects(train=chosen, validation=0, test=0)
    return split_subjects(wanted, available)


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


def check_product(product: KSpaceProduct) -> None:
    """Find every bad input that would stop the generation, before any work starts.

    Files that are still to be downloaded are left for a second call.

    Raises:
        SpinforgeError: For a missing or damaged file, or slices or lines that do not fit.
    """
    check_fit(product)
    source, later = phantom_source(product), to_download(product)
    for subject in split_of(product).everyone:
        if subject not in later:
            source.check(subject)


def check_fit(product: KSpaceProduct) -> None:
    """Check that lines, slices, readout and noise fit; needs no file.

    Raises:
        SpinforgeError: If they do not.
    """
    # What does not fit, does so for every random number.
    draw_line_mask(product.sampling, _matrix(product)[0], SampleRng(product.seed, "check"))
    voxels_per_slice(product.slices, float(product.spacing_mm))
    check_readout(product.scan, product.scanner)
    check_noise(product.noise, product.scan)


def to_download(product: KSpaceProduct) -> list[str]:
    """Subjects of the product whose file will be fetched first."""
    if not product.download or product.path is None:
        return []
    there = subjects_in(product.path)
    return [subject for subject in split_of(product).everyone if subject not in there]


def is_done(product: KSpaceProduct, store: KSpaceStore, subject: str) -> bool:
    """Whether `subject` is complete in the store, from the same configuration and phantom.

    Raises:
        SpinforgeError: If it is there but was made from something else.
    """
    attributes = store.subject_attributes(subject)
    if attributes is None:
        return False
    found = (attributes["config_hash"], attributes["phantom"]["sha256"])
    wanted = (product.config_hash, phantom_source(product).digest(subject))
    if found != wanted:
        raise SpinforgeError(
            f"{store.subject_path(subject)} was made from another configuration or phantom.\n"
            f"  its hashes: {found[0]} (config), {found[1]} (phantom)\n"
            f"  this study: {wanted[0]} (config), {wanted[1]} (phantom)\n"
            f"A model file that was compressed again has another hash, though no voxel changed: "
            f"put the old file back. Else use another name or out folder, or replace the set "
            f"with: spinforge generate STUDY.yaml --overwrite"
        )
    return True


def expected_bytes(product: KSpaceProduct) -> int:
    """Upper bound of a subject's size on disk: k-space, maps, an image, soft and hard labels."""
    height, width = _matrix(product)
    per_voxel = 8 * 2 * product.scanner.coils + 8 + 1 + 4
    return product.slices.count * height * width * per_voxel


def simulate_subject(product: KSpaceProduct, subject: str, store: KSpaceStore) -> str:
    """Simulate one subject and store it; do nothing if it is complete already.

    Runs on one thread: FFT and matrix libraries may round differently with several, and the
    parallelism is over subjects anyway.

    Returns:
        SHA-256 of the subject's arrays.
    """
    if is_done(product, store, subject):
        attributes = store.subject_attributes(subject)
        assert attributes is not None
        return str(attributes["content_sha256"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        phantom = phantom_source(product).load(subject)
        scan = simulate_scan(
            phantom,
            product.slices,
            product.scan,
            product.noise,
            product.scanner,
            seed=product.seed,
        )
        masks = fixed_masks(product, subject)
        arrays = _arrays(scan, masks)
    finally:
        torch.set_num_threads(threads)
    provenance = _provenance(product, phantom, scan)
    return store.write_subject(subject, arrays, provenance)


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
        "coil_maps": StoredArray(scan.coil_maps.numpy(), ("slice", "coil", *plane)),
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
    packages = ("spinforge", "numpy", "scipy", "torch", "zarr", "nibabel", "sigpy")
    return {
        "subject": phantom.subject,
        "config_hash": product.config_hash,
        "root_seed": product.seed,
        "rng_scheme": RNG_SCHEME,
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
        "orientation_verified": phantom.source == "procedural",  # BrainWeb: x may be mirrored
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
        "code": code_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
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
