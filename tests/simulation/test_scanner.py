import pytest
from pydantic import ValidationError

from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.scanner import Scanner, check_readout
from spinforge.simulation.sequences import MPRAGE, BalancedSSFP, DualEcho, GradientEcho, SpinEcho


def test_default_is_the_ideal_scanner():
    assert Scanner() == Scanner(profile="ideal")
    assert not Scanner().readout


def test_a_profile_fills_in_what_was_not_said():
    scanner = Scanner(profile="seranet", drift_hz=0.0)
    assert scanner.readout
    assert scanner.b0 == "susceptibility"
    assert scanner.b1_peak == 0.15
    assert scanner.drift_hz == 0.0


def test_a_dump_is_read_back_as_it_was():
    scanner = Scanner(profile="seranet", coils=8, receive_range_percent=0.0)
    assert Scanner.model_validate(scanner.model_dump()) == scanner


def test_the_transmit_field_is_stronger_at_3_tesla():
    at_3t = Scanner(profile="seranet", tissue_set="literature_3T")
    assert (at_3t.b1_lowest, at_3t.b1_peak) == (0.1, 0.3)
    assert Scanner(profile="seranet", tissue_set="literature_3T", b1_lowest=0, b1_peak=0.2) == (
        at_3t.model_copy(update={"b1_lowest": 0, "b1_peak": 0.2})
    )
    at_1p5t = Scanner(profile="seranet")
    assert (at_1p5t.b1_lowest, at_1p5t.b1_peak) == (0, 0.15)


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(ValidationError, match="'ideal', 'seranet' or 'brainweb'"):
        Scanner(profile="siemens")  # type: ignore[arg-type]


def test_receive_range_is_for_one_coil():
    with pytest.raises(ValidationError, match="receive_range_percent = 10 is for coils: 1"):
        Scanner(coils=8, receive_range_percent=10)


def test_a_profile_may_stand_by_its_name_alone():
    assert Scanner.model_validate("seranet") == Scanner(profile="seranet")


def test_a_profiles_receive_range_gives_way_to_a_birdcage():
    assert Scanner(profile="seranet", coils=8).receive_range_percent == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"coil_correlation": 0.3}, "coil_correlation = 0.3 is between coils"),
        ({"b1_lowest": 0.2}, "b1_lowest = 0.2 is above b1_peak = 0"),
        ({"readout_polarity": -1}, "readout_polarity = -1 turns the readout round"),
        ({"rf_bandwidth_hz": 1500}, "rf_bandwidth_hz = 1500 moves what is off-resonant"),
        ({"rf_bandwidth_hz": 1, "readout": True}, "rf_bandwidth_hz = 1 would move fat by many"),
        ({"b0": "gaussian"}, "b0 = gaussian acts while a line is read"),
    ],
)
def test_what_would_do_nothing_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Scanner(**values)


@pytest.mark.parametrize(
    ("sequence", "bandwidth", "fits"),
    [
        (SpinEcho(), 250, True),
        (SpinEcho(), 12, False),  # 41.7 ms, 40 between refocusing and echo
        (GradientEcho(kind="gradient_echo"), 250, True),
        (MPRAGE(kind="mprage"), 250, True),
        (MPRAGE(kind="mprage"), 140, False),  # 3.57 ms, 3.40 before the next pulse of the train
        (DualEcho(kind="dual_echo"), 13, True),
        (DualEcho(kind="dual_echo"), 12, False),  # 41.7 ms, 40.4 between refocusing and late echo
        (DualEcho(kind="dual_echo", echo="early"), 40, True),
        (DualEcho(kind="dual_echo", echo="early"), 29, False),  # 17.2 ms, 16.6 before the echo
        (GradientEcho(kind="gradient_echo"), 50, False),  # 10 ms, as long as TE
        (BalancedSSFP(kind="balanced_ssfp"), 250, False),  # 2 ms, TE is 1.7
        (BalancedSSFP(kind="balanced_ssfp"), 500, True),
    ],
)
def test_a_line_must_fit_between_the_pulses(sequence, bandwidth, fits):
    scanner = Scanner(readout=True, bandwidth_hz_per_px=bandwidth)
    if fits:
        check_readout(sequence, scanner)
        return
    with pytest.raises(SpinforgeError, match=r"bandwidth_hz_per_px = \d+: half a line takes"):
        check_readout(sequence, scanner)
