"""Corruptions that are another scan: they are simulated again, not painted on an image."""

import itertools
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from spinforge.simulation.corruption.volume import LevelledConfig, Record, SamplePath
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence

TIMING_CHANGE = (0.10, 0.20, 0.30, 0.40, 0.50)
B0_FACTOR = (1.0, 2.0, 4.0, 6.0, 8.0)
BANDWIDTH_HZ_PER_PX = (250.0, 180.0, 120.0, 80.0, 50.0)

_SEQUENCE: TypeAdapter[PulseSequence] = TypeAdapter(PulseSequence)
_CHANGED = ("tr_ms", "te_ms", "flip_deg")


class OtherTiming(LevelledConfig):
    """TR, TE and flip angle off by 10 to 50 %, each up or down."""

    kind: Literal["contrast_physics"] = "contrast_physics"

    def draw(
        self, sequence: PulseSequence, scanner: Scanner, path: SamplePath
    ) -> tuple[PulseSequence, Scanner, Record]:
        """The changed sequence.

        Raises:
            SpinforgeError: If no choice of ups and downs fits in the repetition.
        """
        change = self.of(TIMING_CHANGE)
        values = sequence.model_dump()
        names = [name for name in _CHANGED if name in values]
        choices = list(itertools.product((1 - change, 1 + change), repeat=len(names)))
        for choice in path.rng("choice").permutation(len(choices)):
            factors = dict(zip(names, choices[int(choice)], strict=True))
            update = {name: values[name] * factor for name, factor in factors.items()}
            if "early_te_ms" in values:
                update["early_te_ms"] = values["early_te_ms"] * factors["te_ms"]
            try:
                changed = _SEQUENCE.validate_python(values | update)
            except ValidationError:
                continue  # an echo after its repetition: the next choice
            return changed, scanner, dict(factors)
        raise SpinforgeError(
            f"corruption contrast_physics, level {self.level}: {sequence.kind} has no room for TR "
            f"and TE changed by {change:.0%}. Use a lower level or a longer tr_ms."
        )


class StrongerB0(LevelledConfig):
    """Off-resonance 1, 2, 4, 6, 8 times as strong: distortion, and dropout of gradient echoes.

    Level 1 is the scanner's own field.
    """

    kind: Literal["b0"] = "b0"

    def draw(
        self, sequence: PulseSequence, scanner: Scanner, path: SamplePath
    ) -> tuple[PulseSequence, Scanner, Record]:
        """The scanner with the stronger field.

        Raises:
            SpinforgeError: If the scanner has no off-resonance.
        """
        if scanner.b0 == "none":
            raise SpinforgeError(
                "corruption b0 needs off-resonance: set data.scanner.b0 to susceptibility or "
                "gaussian (profile seranet has it)."
            )
        factor = self.of(B0_FACTOR)
        stronger = _changed(scanner, b0_scale=scanner.b0_scale * factor)
        return sequence, stronger, {"factor": factor}


class NarrowBandwidth(LevelledConfig):
    """Readout bandwidth of 250 to 50 Hz/px: fat and distortion move further.

    Absolute values, whatever the scanner's was; 250 is its default.
    """

    kind: Literal["chem_shift"] = "chem_shift"

    def draw(
        self, sequence: PulseSequence, scanner: Scanner, path: SamplePath
    ) -> tuple[PulseSequence, Scanner, Record]:
        """The scanner with the narrow band.

        Raises:
            SpinforgeError: If the scanner's readout is ideal.
        """
        if not scanner.readout:
            raise SpinforgeError(
                f"corruption chem_shift acts while a line is read, which scanner profile "
                f"{scanner.profile} leaves out: add readout: true."
            )
        bandwidth = self.of(BANDWIDTH_HZ_PER_PX)
        narrow = _changed(scanner, bandwidth_hz_per_px=bandwidth)
        return sequence, narrow, {"bandwidth_hz_per_px": bandwidth}


def _changed(scanner: Scanner, **values: float) -> Scanner:
    """The scanner with other values, checked.

    Raises:
        SpinforgeError: If they are out of range.
    """
    try:
        return Scanner.model_validate(scanner.model_dump() | values)
    except ValidationError as error:
        raise SpinforgeError(
            f"corruption of data.scanner: {error.errors()[0]['msg']}, got {values}. Use a lower "
            f"level or a milder scanner."
        ) from error


Rescan = Annotated[OtherTiming | StrongerB0 | NarrowBandwidth, Field(discriminator="kind")]
"""Any corruption that changes the scan."""
