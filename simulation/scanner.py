"""The scanner: everything between an ideal signal equation and what a receiver records."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sequences import PulseSequence
from spinforge.simulation.tissue_sets import TISSUE_SETS, TissueSetName

ProfileName = Literal["ideal", "seranet", "brainweb"]

_PROFILES: Mapping[str, dict[str, Any]] = {
    # The signal equation, a smooth phase and noise.
    "ideal": {"readout": False},
    # What MRiLab, the simulator of SERANet's paper, can contain, at moderate strength.
    "seranet": {
        "b1_peak": 0.15,
        "b0": "susceptibility",
        "receive_range_percent": 20.0,
        "drift_hz": 0.5,
        "line_phase_rad": 0.02,
        "tissue_variability": 1.0,
    },
    # What BrainWeb's own simulator does: amplitudes only, magnitude without phase.
    "brainweb": {"readout": False, "object_phase": False},
}


_NARROWEST_PULSE_HZ = 200.0

_TISSUE_SETS_FROM_3T = [name for name, s in TISSUE_SETS.items() if s.field_t >= 3]
# A head is a better resonator at the shorter wavelength of a stronger field.
_SERANET_TRANSMIT_FROM_3T: Mapping[str, Any] = {"b1_lowest": 0.1, "b1_peak": 0.3}


class Scanner(Config):
    """Imperfections of the scanner. A profile sets them all; single ones may be changed.

    `ideal` has none of them but a smooth phase; `seranet` switches on moderate ones; `brainweb`
    imitates BrainWeb's own simulator.
    """

    profile: ProfileName = Field("ideal", description="set of defaults: ideal, seranet, brainweb")
    tissue_set: TissueSetName = Field("brainweb_1p5T", description="relaxation times; also B0")
    tissue_variability: float = Field(
        0.0, ge=0, le=5, description="spread of relaxation between subjects, 1 is 2-6 %"
    )
    coils: int = Field(1, ge=1, le=64, description="receive coils; more than 1 is a birdcage")
    receive_range_percent: float = Field(
        0.0,
        ge=0,
        le=100,
        description="range of a single coil's receive field over the field of view [%]",
    )
    coil_correlation: float = Field(
        0.0, ge=0, lt=1, description="correlation of the noise of any two coils"
    )
    b1_lowest: float = Field(
        0.0, ge=0, le=0.6, description="smallest height of the transmit field's centre"
    )
    b1_peak: float = Field(
        0.0, ge=0, le=0.6, description="largest height of the transmit field's centre, drawn"
    )
    b0: Literal["none", "susceptibility", "gaussian"] = Field(
        "none", description="off-resonance: of the head itself, or a Gaussian bump"
    )
    b0_scale: float = Field(1.0, ge=0, le=20, description="multiplies the off-resonance")
    readout: bool = Field(True, description="decay and off-resonance while a line is read")
    bandwidth_hz_per_px: float = Field(250.0, gt=0, le=1e5, description="receive bandwidth [Hz/px]")
    readout_tolerance: float = Field(1e-3, gt=0, lt=1, description="of the readout's low rank")
    readout_polarity: Literal[1, -1] = Field(
        1, description="direction of the readout: with -1 what is off-resonant moves the other way"
    )
    fat_ppm: float = Field(-3.5, ge=-10, le=10, description="chemical shift of fat [ppm]")
    object_phase: bool = Field(True, description="smooth phase of transmitter and receiver")
    drift_hz: float = Field(
        0.0,
        ge=0,
        le=100,
        description="frequency drift from the first to the last line [Hz]; spin echoes refocus it",
    )
    line_phase_rad: float = Field(0.0, ge=0, le=3, description="random phase of a line, sd [rad]")
    warp_mm: float = Field(
        0.0, ge=0, le=10, description="shift of the anatomy at the edge by the gradients [mm]"
    )
    supersample: Literal[1, 2] = Field(
        1,
        description="points of the object a voxel, along each axis: 2 shows Gibbs ringing, takes "
        "eight times the voxels and about 5 GB a worker",
    )
    rf_bandwidth_hz: float = Field(
        0.0,
        ge=0,
        le=1e5,
        description="bandwidth of the excitation [Hz]: moves the slice of what is off-resonant, "
        "1000 to 2000 is usual; 0 leaves that out",
    )
    slice_profile: Literal["box", "gaussian", "sinc"] = Field(
        "box", description="how the slice weighs what it holds and its neighbourhood"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_profile(cls, given: Any) -> Any:
        """Take from the profile what was not said; pydantic reports an unknown one."""
        if isinstance(given, str):  # the name of a profile alone
            given = {"profile": given}
        if not isinstance(given, dict):
            return given
        name = given.get("profile", "ideal")
        defaults = dict(_PROFILES.get(name, {}) if isinstance(name, str) else {})
        if name == "seranet" and given.get("tissue_set") in _TISSUE_SETS_FROM_3T:
            defaults |= _SERANET_TRANSMIT_FROM_3T
        filled = defaults | given
        if filled.get("coils", 1) != 1 and "receive_range_percent" not in given:
            filled["receive_range_percent"] = 0.0  # the profile's is for its single coil
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> "Scanner":
        if self.b1_lowest > self.b1_peak:
            raise ValueError(
                f"b1_lowest = {self.b1_lowest:g} is above b1_peak = {self.b1_peak:g}; set both "
                f"(profile seranet has b1_lowest = 0.1 at 3 T)"
            )
        if self.coils > 1 and self.receive_range_percent:
            raise ValueError(
                f"receive_range_percent = {self.receive_range_percent:g} is for coils: 1, a "
                f"birdcage of {self.coils} has its own maps; leave it out"
            )
        if self.coils == 1 and self.coil_correlation:
            raise ValueError(
                f"coil_correlation = {self.coil_correlation:g} is between coils; set coils above 1"
            )
        if self.b0 != "none" and not self.readout:
            raise ValueError(
                f"b0 = {self.b0} acts while a line is read, which profile {self.profile} leaves "
                f"out; add readout: true"
            )
        if 0 < self.rf_bandwidth_hz < _NARROWEST_PULSE_HZ:
            raise ValueError(
                f"rf_bandwidth_hz = {self.rf_bandwidth_hz:g} would move fat by many slices; pulses "
                f"have {_NARROWEST_PULSE_HZ:g} Hz or more, and 0 leaves the shift out"
            )
        if self.rf_bandwidth_hz and not self.readout:
            raise ValueError(
                f"rf_bandwidth_hz = {self.rf_bandwidth_hz:g} moves what is off-resonant, which "
                f"profile {self.profile} leaves out; add readout: true"
            )
        if self.readout_polarity == -1 and not self.readout:
            raise ValueError(
                f"readout_polarity = -1 turns the readout round, which profile {self.profile} "
                f"leaves out; add readout: true"
            )
        return self


def check_readout(sequence: PulseSequence, scanner: Scanner) -> None:
    """Check that a line can be read between the pulses.

    Raises:
        SpinforgeError: If not; names the bandwidth that would do.
    """
    if not scanner.readout:
        return
    half = 0.5 / scanner.bandwidth_hz_per_px
    room = 1e-3 * min(sequence.free_beside_echo_ms())
    if half >= room:
        raise SpinforgeError(
            f"data.scanner.bandwidth_hz_per_px = {scanner.bandwidth_hz_per_px:g}: half a line "
            f"takes {1e3 * half:.2f} ms, but only {1e3 * room:.2f} ms are free beside the echo. "
            f"Use more than {0.5 / room:.0f} Hz/px, or a longer te_ms or tr_ms."
        )
