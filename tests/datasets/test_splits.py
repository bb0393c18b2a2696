import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spinforge.datasets.splits import Subjects, split_subjects
from spinforge.simulation.errors import SpinforgeError

NAMES = [f"sub-{i:02d}" for i in range(20)]


def test_numbers_take_training_from_the_start_and_test_from_the_end():
    split = split_subjects(Subjects(train=4, validation=1, test=3), NAMES)
    assert split.train == ("sub-00", "sub-01", "sub-02", "sub-03")
    assert split.validation == ("sub-16",)
    assert split.test == ("sub-17", "sub-18", "sub-19")


def test_names_are_taken_as_given_and_left_out_of_the_numbers():
    split = split_subjects(Subjects(train=2, validation=1, test=("sub-00",)), NAMES)
    assert split.test == ("sub-00",)
    assert split.train == ("sub-01", "sub-02")


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 6), st.permutations(NAMES))
def test_groups_never_share_a_subject_and_ignore_the_order(train, validation, test, shuffled):
    wanted = Subjects(train=train, validation=validation, test=test)
    split = split_subjects(wanted, shuffled)
    groups = [*split.train, *split.validation, *split.test]
    assert len(groups) == len(set(groups)) == wanted.total
    assert split == split_subjects(wanted, NAMES)


def test_too_few_subjects_are_counted():
    with pytest.raises(SpinforgeError, match="asks for 6 subjects, but there are only 2: a, b"):
        split_subjects(Subjects(), ["a", "b"])


def test_unknown_names_are_listed():
    with pytest.raises(SpinforgeError, match=r"data.subjects.test: sub-99 not found"):
        split_subjects(Subjects(test=("sub-99",)), NAMES)


def test_a_subject_in_two_groups_is_refused():
    with pytest.raises(SpinforgeError, match="sub-03 would be in more than one group"):
        split_subjects(Subjects(train=("sub-03",), test=("sub-03",)), NAMES)


@pytest.mark.parametrize("group", [0, -1, ()])
def test_empty_groups_are_refused(group):
    with pytest.raises(ValidationError, match="need at least one subject"):
        Subjects(validation=group)


def test_a_set_that_is_not_split_has_training_subjects_only():
    wanted = Subjects(train=("sub-03", "sub-01"), validation=0, test=())
    assert not wanted.is_split
    split = split_subjects(wanted, NAMES)
    assert (split.train, split.validation, split.test) == (("sub-03", "sub-01"), (), ())
    with pytest.raises(ValidationError, match="train: need at least one subject"):
        Subjects(train=0, validation=0, test=0)
