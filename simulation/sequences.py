"""Pulse sequences: what the operator sets. Their signals are in contrast.py."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from spinforge.simulation.config import Config
from spinforge.simulation.rng import SampleRng


class _Sequence(Config):
    """What all sequences share."""

    tr_ms: float = Field(3000.0, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(80.0, gt=0, le=1000, description="mean echo time [ms]")
    variation: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="TR and TE of each subject are uniform within mean * (1 +- variation)",
    )

    def busy_ms(self) -> float:
        """Time from the excitation to the last event that must fit in the repetition [ms]."""
        return self.te_ms

    def free_beside_echo_ms(self) -> tuple[float, float]:
        """Least time from the last pulse to the echo, and from the echo to the next one [ms]."""
        latest = self.te_ms * (1 + self.variation)
        return self.te_ms * (1 - self.variation), self.tr_ms * (1 - self.variation) - latest

    @model_validator(mode="after")
    def _fits(self) -> "_Sequence":
        longest, shortest_tr = (
            self.busy_ms() * (1 + self.variation),
            self.tr_ms * (1 - self.variation),
        )
        if longest >= shortest_tr:
            raise ValueError(
                f"the echo must fit in the repetition: it can come after {longest:g} ms and "
                f"tr_ms fall to {shortest_tr:g}; lower te_ms or raise tr_ms"
            )
        return self

    @property
    def tr(self) -> float:
        """Repetition time [s]."""
        return self.tr_ms * 1e-3

    @property
    def te(self) -> float:
        """Time of the last echo [s]."""
        return self.te_ms * 1e-3

    @property
    def echo_time(self) -> float:
        """Time of the echo that is the image [s]."""
        return self.te

    @property
    def echo_name(self) -> str:
        """Which echo that is, for sequences with several."""
        return "echo"


class SpinEcho(_Sequence):
    """90-180 spin echo; defaults are those of SERANet (mean TR 3 s, mean TE 80 ms)."""

    kind: Literal["spin_echo"] = "spin_echo"

    def free_beside_echo_ms(self) -> tuple[float, float]:
        """The refocusing pulse lies halfway to the echo."""
        before, after = super().free_beside_echo_ms()
        return before / 2, after


class DualEcho(_Sequence):
    """90-180-180 spin echo with two echoes; defaults are BrainWeb's T2 (late echo) image."""

    kind: Literal["dual_echo"]
    tr_ms: float = Field(3300.0, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(120.0, gt=0, le=1000, description="mean time of the late echo [ms]")
    early_te_ms: float = Field(35.0, gt=0, le=1000, description="time of the early echo [ms]")
    echo: Literal["early", "late"] = Field("late", description="which echo is the image")

    @property
    def echo_time(self) -> float:
        """Time of the echo that is the image [s]."""
        return self.te if self.echo == "late" else self.early_te_ms * 1e-3

    @property
    def echo_name(self) -> str:
        """Which echo that is."""
        return self.echo

    def free_beside_echo_ms(self) -> tuple[float, float]:
        """A refocusing pulse lies halfway to the early echo, another between the two."""
        shortest = 1 - self.variation
        between = (self.te_ms - self.early_te_ms) / 2 * shortest
        if self.echo == "early":
            return self.early_te_ms / 2 * shortest, between
        return between, super().free_beside_echo_ms()[1]

    @model_validator(mode="after")
    def _echoes_in_order(self) -> "DualEcho":
        if self.early_te_ms >= self.te_ms:
            raise ValueError(
                f"early_te_ms = {self.early_te_ms:g} must lie before the late echo, te_ms = "
                f"{self.te_ms:g}"
            )
        return self


class GradientEcho(_Sequence):
    """Spoiled gradient echo; defaults are BrainWeb's T1 (SFLASH) image."""

    kind: Literal["gradient_echo"]
    tr_ms: float = Field(18.0, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(10.0, gt=0, le=1000, description="mean echo time [ms]")
    flip_deg: float = Field(30.0, gt=0, le=180, description="nominal flip angle [degree]")
    spoiling: Literal["ideal", "rf"] = Field(
        "ideal", description="ideal leaves no transverse magnetisation (Ernst); rf: 117 degree"
    )


class InversionRecovery(_Sequence):
    """180 - TI - 90-180 spin echo; defaults are a FLAIR image at 3 T."""

    kind: Literal["inversion_recovery"]
    tr_ms: float = Field(11_000.0, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(125.0, gt=0, le=1000, description="mean echo time [ms]")
    ti_ms: float = Field(2800.0, gt=0, le=20_000, description="inversion time [ms]")

    def busy_ms(self) -> float:
        """Inversion and echo."""
        return self.ti_ms + self.te_ms

    def free_beside_echo_ms(self) -> tuple[float, float]:
        """As a spin echo, after the inversion time."""
        before, after = super().free_beside_echo_ms()
        return before / 2, after - self.ti_ms


class MPRAGE(_Sequence):
    """Inversion, then a train of spoiled gradient echoes whose middle one is the image."""

    kind: Literal["mprage"]
    tr_ms: float = Field(1900.0, gt=0, le=20_000, description="mean time between inversions [ms]")
    te_ms: float = Field(4.38, gt=0, le=1000, description="mean echo time [ms]")
    ti_ms: float = Field(900.0, gt=0, le=20_000, description="inversion to the central pulse [ms]")
    flip_deg: float = Field(7.0, gt=0, le=180, description="nominal flip angle [degree]")
    echo_spacing_ms: float = Field(8.0, gt=0, le=100, description="between the pulses [ms]")
    echoes: int = Field(176, ge=1, le=1024, description="pulses of the train")

    def busy_ms(self) -> float:
        """Inversion and the half of the train after the centre."""
        return self.ti_ms + (self.echoes - self.echoes // 2) * self.echo_spacing_ms

    def free_beside_echo_ms(self) -> tuple[float, float]:
        """The next pulse of the train comes after the echo spacing."""
        latest = self.te_ms * (1 + self.variation)
        return self.te_ms * (1 - self.variation), self.echo_spacing_ms - latest

    @model_validator(mode="after")
    def _train_fits(self) -> "MPRAGE":
        if self.echoes // 2 * self.echo_spacing_ms >= self.ti_ms:
            raise ValueError(
                f"half the train, {self.echoes // 2 * self.echo_spacing_ms:g} ms, must fit in "
                f"ti_ms = {self.ti_ms:g}; lower echoes or echo_spacing_ms"
            )
        if self.te_ms * (1 + self.variation) >= self.echo_spacing_ms:
            raise ValueError(
                f"te_ms = {self.te_ms:g} (1 + variation) must be below echo_spacing_ms = "
                f"{self.echo_spacing_ms:g}"
            )
        return self


class BalancedSSFP(_Sequence):
    """Balanced steady-state free precession with alternating pulses, on resonance."""

    kind: Literal["balanced_ssfp"]
    tr_ms: float = Field(3.4, gt=0, le=20_000, description="mean repetition time [ms]")
    te_ms: float = Field(1.7, gt=0, le=1000, description="half of tr_ms, where the echo is [ms]")
    flip_deg: float = Field(60.0, gt=0, le=180, description="nominal flip angle [degree]")

    @model_validator(mode="after")
    def _echo_in_the_middle(self) -> "BalancedSSFP":
        if abs(self.te_ms - self.tr_ms / 2) > 1e-6 * self.tr_ms:
            raise ValueError(
                f"te_ms = {self.te_ms:g}: the echo of balanced SSFP is refocused at tr_ms / 2 = "
                f"{self.tr_ms / 2:g}; set te_ms to that"
            )
        return self


def _spin_echo_unless_named(value: Any) -> Any:
    """Study files may leave out the kind of the paper's own sequence."""
    if isinstance(value, dict) and "kind" not in value:
        return {"kind": "spin_echo", **value}
    return value


PulseSequence = Annotated[
    SpinEcho | DualEcho | GradientEcho | InversionRecovery | MPRAGE | BalancedSSFP,
    Field(discriminator="kind"),
    BeforeValidator(_spin_echo_unless_named),
]
REFOCUSED = (SpinEcho, DualEcho, InversionRecovery, BalancedSSFP)
"""Sequences whose echo refocuses off-resonance and T2'; the others acquire a gradient echo.

Balanced SSFP does so at TE = TR / 2: Scheffler and Hennig, Magn Reson Med 49:395 (2003).
"""


def draw_timing(sequence: PulseSequence, rng: SampleRng) -> PulseSequence:
    """The sequence with one subject's TR and TE, and no variation any more."""
    spread = sequence.variation
    tr_ms = sequence.tr_ms * rng.uniform(1 - spread, 1 + spread)
    longer = rng.uniform(1 - spread, 1 + spread)
    update = {"tr_ms": tr_ms, "te_ms": sequence.te_ms * longer, "variation": 0.0}
    if isinstance(sequence, DualEcho):
        update["early_te_ms"] = sequence.early_te_ms * longer
    if isinstance(sequence, BalancedSSFP):
        update["te_ms"] = tr_ms / 2
    return sequence.model_copy(update=update)
