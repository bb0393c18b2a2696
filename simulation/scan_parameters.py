"""What is random about one scan, drawn before anything is computed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spinforge.simulation.coils import draw_receive_profile
from spinforge.simulation.fields import ObjectPhase, draw_b1_peak, draw_phase
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import REFOCUSED, PulseSequence, draw_timing
from spinforge.simulation.slices import FIELD_OF_VIEW_MM
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import Factors, draw_tissue_factors


@dataclass(frozen=True)
class ScanParameters:
    """Drawn parameters of one subject's scan.

    Attributes:
        path: Path of the scan, which keys the random numbers of its slices.
        seed: Root seed of the data set.
        sequence: With this subject's TR and TE.
        tissue_factors: What multiplies T1, T2, T2* and proton density of each tissue.
        phase: Phase of the object; None for a real object.
        b1_peak: Height of the transmit field's central hill [1].
        receive: Coefficients of a single coil's receive profile; empty for a uniform one.
    """

    path: tuple[str, ...]
    seed: int
    sequence: PulseSequence
    tissue_factors: Mapping[Tissue, Factors]
    phase: ObjectPhase | None
    b1_peak: float
    receive: tuple[float, ...]

    def rng(self, *what: str) -> SampleRng:
        """Random numbers of a part of this scan."""
        return SampleRng(self.seed, *self.path, *what)

    def record(self) -> dict[str, Any]:
        """Everything drawn, as plain data for the provenance."""
        return {
            "tr_s": self.sequence.tr,
            "te_s": self.sequence.echo_time,
            "tissue_factors": {t.name: list(f) for t, f in self.tissue_factors.items()},
            "phase": asdict(self.phase) if self.phase else None,
            "b1_peak": self.b1_peak,
            "receive": list(self.receive),
        }


def draw_scan_parameters(
    subject: str,
    tissues: tuple[Tissue, ...],
    sequence: PulseSequence,
    scanner: Scanner,
    *,
    seed: int,
) -> ScanParameters:
    """Draw one subject's scan; all randomness but that of lines and noise is here."""
    path = ("kspace", subject, sequence.kind.replace("_", "-"))

    def rng(what: str) -> SampleRng:
        return SampleRng(seed, *path, what)

    variability = scanner.tissue_variability
    return ScanParameters(
        path=path,
        seed=seed,
        sequence=draw_timing(sequence, rng("timing")),
        # Of the subject, not of the scan: another sequence meets the same tissues.
        tissue_factors=draw_tissue_factors(
            SampleRng(seed, "tissues", subject), tissues, variability
        )
        if variability
        else {},
        phase=draw_phase(rng("phase"), fov_mm=FIELD_OF_VIEW_MM[:2])
        if scanner.object_phase
        else None,
        b1_peak=draw_b1_peak(rng("transmit"), scanner.b1_lowest, scanner.b1_peak),
        receive=draw_receive_profile(rng("receive")) if scanner.receive_range_percent else (),
    )


def line_phases(
    parameters: ScanParameters, scanner: Scanner, n_slices: int, n_lines: int
) -> Tensor:
    """Phase of every line from frequency drift and line-to-line fluctuation.

    Lines are acquired one a repetition from the first to the last; the slices are interleaved, so
    every slice sees the same drift. It turns a gradient echo by 2 pi f TE; a spin echo refocuses
    what does not change between its excitation and its echo.

    Returns:
        (slice, ky) float64 [rad]; 0 at the central line but for the fluctuation.
    """
    line = torch.arange(n_lines, dtype=torch.float64) - n_lines // 2
    is_refocused = isinstance(parameters.sequence, REFOCUSED)
    drift_hz = 0 * line if is_refocused else scanner.drift_hz * line / n_lines
    phases = (2 * torch.pi * drift_hz * parameters.sequence.echo_time).expand(n_slices, -1).clone()
    if scanner.line_phase_rad:
        for index in range(n_slices):
            normals = parameters.rng(f"slice-{index:03d}", "lines").normals(n_lines)
            phases[index] += scanner.line_phase_rad * torch.from_numpy(np.asarray(normals))
    return phases
