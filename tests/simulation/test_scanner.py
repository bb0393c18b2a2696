import pytest
from pydantic import ValidationError

from spinforge.simulation.scanner import Scanner


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


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(ValidationError, match="'ideal', 'seranet' or 'brainweb'"):
        Scanner(profile="siemens")  # type: ignore[arg-type]


def test_receive_range_is_for_one_coil():
    with pytest.raises(ValidationError, match="receive_range_percent is for coils: 1"):
        Scanner(coils=8, receive_range_percent=10)


def test_a_profile_may_stand_by_its_name_alone():
    assert Scanner.model_validate("seranet") == Scanner(profile="seranet")
