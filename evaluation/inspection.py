"""Figures of a phantom and of its scan, for people who would rather look than read."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from spinforge.evaluation.report.colours import TISSUE_COLOURS
from spinforge.simulation.acquisition import Scan
from spinforge.simulation.forward import Fields
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.phantom import Phantom, target_labels
from spinforge.simulation.reconstruction import zero_filled_combined

LABEL_COLOURS = ListedColormap(["black", *TISSUE_COLOURS.values()])
_PANEL_INCHES = 2.1

Panel = tuple[str, NDArray[np.generic], dict[str, object]]
"""Title, values, options of `imshow`.

An image has its first axis to the right and the second upwards; one axis makes a curve.
"""


def tissue_figure(phantom: Phantom, height: float = 0.5) -> Figure:
    """Every tissue's membership in one axial plane, and the targets in three views.

    Args:
        phantom: Any phantom.
        height: Where the plane lies, as a fraction of the volume's height.
    """
    plane = round(height * (phantom.memberships.shape[-1] - 1))
    grey: dict[str, object] = {"cmap": "gray", "vmin": 0, "vmax": 1}
    panels: list[Panel] = [
        (tissue.name.lower().replace("_", " "), membership[:, :, plane].numpy(), grey)
        for tissue, membership in zip(phantom.tissues, phantom.memberships, strict=True)
    ]
    targets = target_labels(phantom.labels).numpy()
    middle_x, middle_y = targets.shape[0] * 2 // 5, targets.shape[1] // 2
    labels: dict[str, object] = {"cmap": LABEL_COLOURS, "vmin": 0, "vmax": 3}
    panels += [
        ("axial: CSF, GM, WM", targets[:, :, plane], labels),
        ("coronal", targets[:, middle_y], labels),
        ("sagittal", targets[middle_x], labels),
    ]
    return _grid(f"{phantom.source} phantom {phantom.subject}", panels, columns=5)


def acquisition_figure(scan: Scan, mask: Tensor, number: int) -> Figure:
    """From k-space to the network's image: one slice of a scan.

    Args:
        scan: A simulated scan.
        mask: Acquired lines, (ky,) bool.
        number: Which slice.
    """
    kspace = scan.kspace[number]
    magnitude = kspace[0].abs().clamp(min=1e-12).log().numpy()
    low, high = np.percentile(magnitude, (2, 99.9))
    lines = mask[:, None].expand(kspace.shape[-2:]).numpy()
    maps = scan.coil_maps[number if len(scan.coil_maps) > 1 else 0]
    undersampled = zero_filled_combined(kspace, mask, maps).abs().numpy()
    point = kspace_to_image(mask[:, None].to(kspace.dtype)).abs()[:, 0]
    spread = 20 * np.log10(np.maximum((point / point.max()).numpy(), 1e-3))
    image = scan.image[number]
    phase = image.angle().where(image.abs() > 0.02 * image.abs().max(), torch.nan)
    panels: list[Panel] = [
        ("noise-free image", image.abs().numpy(), {"cmap": "gray"}),
        ("its phase [rad]", phase.numpy(), {"cmap": "twilight", "vmin": -3.2, "vmax": 3.2}),
        ("k-space, log", magnitude, {"cmap": "magma", "vmin": low, "vmax": high}),
        (f"{int(mask.sum())} of {len(mask)} lines", lines, {"cmap": "gray", "vmin": 0, "vmax": 1}),
        ("point spread along phase [dB]", spread, {}),
        ("zero-filled, with noise", undersampled, {"cmap": "gray"}),
        ("target", scan.target[number].numpy(), {"cmap": LABEL_COLOURS, "vmin": 0, "vmax": 3}),
    ]
    return _grid(f"slice {number}: TR {scan.tr:.3f} s, TE {1e3 * scan.te:.1f} ms", panels, 4)


def field_figure(scan: Scan, fields: Fields, number: int) -> Figure:
    """Transmit field, off-resonance and the coils' sensitivities in one slice."""
    maps = scan.coil_maps[number if len(scan.coil_maps) > 1 else 0]
    inside = scan.image[number].abs() > 0.02 * scan.image[number].abs().max()
    off_resonance = fields.off_resonance[number].where(inside, torch.nan).numpy()
    span = float(max(1.0, np.nanmax(np.abs(off_resonance))))
    panels: list[Panel] = [
        ("transmit field B1+", fields.b1[number].numpy(), {"cmap": "viridis"}),
        ("off-resonance [Hz]", off_resonance, {"cmap": "RdBu", "vmin": -span, "vmax": span}),
        *(
            (f"coil {index + 1}", sensitivity.abs().numpy(), {"cmap": "viridis", "vmin": 0})
            for index, sensitivity in enumerate(maps)
        ),
    ]
    return _grid(f"fields in slice {number}", panels, columns=5, bars=True)


def contrast_figure(
    images: Sequence[tuple[str, Tensor]], beside: Sequence[tuple[str, Tensor] | None] = ()
) -> Figure:
    """Magnitude images side by side, each on its own grey scale.

    Args:
        images: Title and (ky, kx) magnitude of each.
        beside: What each is compared with, shown below it; None where there is nothing.
    """

    def panel(shown: tuple[str, Tensor] | None) -> Panel | None:
        if shown is None:
            return None
        title, image = shown
        top = float(image.quantile(0.999))
        return title, image.numpy(), {"cmap": "gray", "vmin": 0, "vmax": top}

    return _grid("contrasts", [panel(shown) for shown in (*images, *beside)], columns=len(images))


def _grid(
    title: str, panels: Sequence[Panel | None], columns: int, *, bars: bool = False
) -> Figure:
    """Panels row by row; None leaves a place empty."""
    rows = -(-len(panels) // columns)
    size = (_PANEL_INCHES * columns, (_PANEL_INCHES + 0.6) * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for axis, panel in zip(axes, panels, strict=False):
        if panel is None:
            continue
        name, values, options = panel
        axis.set_title(name, fontsize=9)
        if values.ndim == 1:
            axis.plot(values, linewidth=0.8)
            axis.set_axis_on()
            axis.tick_params(labelsize=7)
            continue
        shown = axis.imshow(
            values.T,
            origin="lower",
            interpolation="nearest",
            **options,  # type: ignore[arg-type]
        )
        if bars:
            figure.colorbar(shown, ax=axis, shrink=0.7)
    return figure
