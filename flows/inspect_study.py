"""Pictures of what a study simulates: one subject's phantom, scan, fields and contrasts."""

from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from spinforge.datasets.brainweb.images import (
    MODALITIES,
    Modality,
    cleanest_image,
    load_image,
)
from spinforge.datasets.products.catalogue import kspace_product
from spinforge.datasets.products.kspace import fixed_masks, phantom_source
from spinforge.datasets.products.making import split_of
from spinforge.datasets.storage.files import readable_errors, replacing
from spinforge.evaluation.inspection import (
    acquisition_figure,
    contrast_figure,
    field_figure,
    tissue_figure,
)
from spinforge.flows.config import Study
from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom, coarsened
from spinforge.simulation.scan_fields import scan_fields
from spinforge.simulation.scan_parameters import draw_scan_parameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import DualEcho, GradientEcho, PulseSequence
from spinforge.simulation.slices import matrix_size

_HEIGHT = 0.55
"""Of the slice that is shown, as a fraction of the stack: through the ventricles."""

# BrainWeb's three contrasts, in the order of its `MODALITIES`.
_CONTRASTS: tuple[tuple[str, PulseSequence], ...] = (
    ("T1: SFLASH 18/10/30", GradientEcho(kind="gradient_echo", variation=0)),
    ("T2: late echo 3300/120", DualEcho(kind="dual_echo", variation=0)),
    ("PD: early echo 3300/35", DualEcho(kind="dual_echo", echo="early", variation=0)),
)


def inspect_study(study: Study, subject: str | None, folder: Path) -> list[Path]:
    """Draw one subject of a study; nothing is stored but the pictures.

    Args:
        study: What would be simulated.
        subject: Whose; the first training subject by default.
        folder: Where the pictures go.

    Returns:
        Paths of the pictures.

    Raises:
        SpinforgeError: If the study has no such subject, or the folder cannot be written.
    """
    everyone = split_of(study.data).everyone
    name = subject or everyone[0]
    if name not in everyone:
        raise SpinforgeError(f"{name!r} is not in the study; it has {', '.join(everyone)}.")
    product = kspace_product(study.data)
    fine = phantom_source(product).load(name)
    phantom = coarsened(fine, product.scanner.supersample)
    scan = simulate_scan(
        fine, product.slices, product.scan, product.noise, product.scanner, seed=product.seed
    )
    drawn = draw_scan_parameters(
        name, phantom.tissues, product.scan, product.scanner, seed=product.seed
    )
    fields = scan_fields(phantom, product.slices, product.scanner, drawn)
    number = round(_HEIGHT * (product.slices.count - 1))
    figures = {
        "tissues": tissue_figure(phantom),
        "acquisition": acquisition_figure(scan, fixed_masks(product, name)[number], number),
        "fields": field_figure(scan, fields, number),
        "contrasts": contrast_figure(
            [(title, _contrast(study, phantom, s, number)) for title, s in _CONTRASTS],
            _brainwebs_own(study, phantom, number),
        ),
    }
    return [_save(figure, folder / f"{name}-{what}.png") for what, figure in figures.items()]


def _contrast(study: Study, phantom: Phantom, sequence: PulseSequence, number: int) -> Tensor:
    """Magnitude of one slice as BrainWeb's simulator would show it."""
    scanner = Scanner(profile="brainweb")
    quiet = Noise(percent=0)
    scan = simulate_scan(
        phantom, kspace_product(study.data).slices, sequence, quiet, scanner, seed=0
    )
    return scan.image[number].abs()


def _brainwebs_own(study: Study, phantom: Phantom, number: int) -> list[tuple[str, Tensor] | None]:
    """BrainWeb's own images of that slice, as far as they lie beside subject 0; or nothing."""
    product = kspace_product(study.data)
    folder, thickness_mm = product.path, product.slices.thickness_mm
    if product.phantom != "brainweb0" or folder is None:
        return []
    # Heights are counted from the middle of the lowest plane, which is where both begin.
    height_mm = (number + 0.5) * thickness_mm - 0.5 * phantom.spacing_mm
    matrix = matrix_size(phantom.spacing_mm)[:2]

    def image(modality: Modality) -> tuple[str, Tensor] | None:
        settings = cleanest_image(folder, modality, phantom.subject, thickness_mm)
        if settings is None:
            return None
        plane = load_image(folder, settings).plane_at(height_mm)
        title = (
            f"BrainWeb's {modality.upper()}, {settings.thickness_mm} mm\n"
            f"noise {settings.noise_percent} %, INU {settings.inu_percent} %"
        )
        return title, plane[: matrix[0], : matrix[1]]

    shown = [image(modality) for modality in MODALITIES]
    return shown if any(shown) else []


def _save(figure: Figure, path: Path) -> Path:
    with readable_errors(path), replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
