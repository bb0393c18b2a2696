"""Pulse sequences: from relaxation times to the signal of each tissue."""

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor

from spinforge.simulation.config import Config
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import Relaxation, Tissue


class SpinEcho(Config):
    """A Cartesian spin echo; defaults are those of SERANet (mean TR 3 s, mean TE 80 ms)."""

    tr_ms: float = Field(3000.0, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(80.0, gt=0, le=1000, description="mean echo time [ms]")
    variation: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="TR and TE of each subject are uniform within mean * (1 +- variation)",
    )

    @model_validator(mode="after")
    def _echo_fits(self) -> "SpinEcho":
        longest_te, shortest_tr = (
            self.te_ms * (1 + self.variation),
            self.tr_ms * (1 - self.variation),
        )
        if longest_te >= shortest_tr:
            raise ValueError(
                f"the echo must fit in the repetition: te_ms can reach {longest_te:g} and tr_ms "
                f"fall to {shortest_tr:g}; lower te_ms or raise tr_ms"
            )
        return self


def draw_timing(sequence: SpinEcho, rng: SampleRng) -> tuple[float, float]:
    """Draw one subject's repetition and echo time.

    Returns:
        TR and TE [s].
    """
    spread = sequence.variation
    tr = sequence.tr_ms * 1e-3 * rng.uniform(1 - spread, 1 + spread)
    te = sequence.te_ms * 1e-3 * rng.uniform(1 - spread, 1 + spread)
    return tr, te


def spin_echo(tissue: Relaxation, *, tr: float, te: float) -> float:
    r"""Signal of an ideal, repeated 90-180 spin echo.

    $S = \rho\,(1 - 2e^{-(T_R - T_E/2)/T_1} + e^{-T_R/T_1})\,e^{-T_E/T_2}$: the refocusing
    pulse at TE/2 inverts what has recovered until then.

    Args:
        tissue: Relaxation times and proton density.
        tr: Repetition time [s].
        te: Echo time [s].

    Returns:
        Signal in units of the proton density; 0 for a tissue without protons.

    Raises:
        ValueError: If the echo does not fit in the repetition, `te >= tr`.

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 14.3.
    """
    if not 0 < te < tr:
        raise ValueError(f"need 0 < te < tr, got te={te} s and tr={tr} s")
    recovered = 1 - 2 * math.exp(-(tr - te / 2) / tissue.t1) + math.exp(-tr / tissue.t1)
    return tissue.proton_density * recovered * math.exp(-te / tissue.t2)


def tissue_amplitudes(
    properties: dict[Tissue, Relaxation], tissues: tuple[Tissue, ...], *, tr: float, te: float
) -> Tensor:
    """Spin-echo signal of each tissue.

    Returns:
        (tissue,) float64 in units of the proton density.
    """
    signals = [spin_echo(properties[tissue], tr=tr, te=te) for tissue in tissues]
    return torch.tensor(signals, dtype=torch.float64)
