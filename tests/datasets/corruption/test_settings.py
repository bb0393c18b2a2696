"""What a study may say about corruption sets, and what it is told when that makes no sense."""

import pytest
from pydantic import ValidationError

from spinforge.datasets.corruption.settings import Chain, Corruptions, brainweb_chains
from spinforge.datasets.splits import Split
from spinforge.simulation.corruption.corrupt import KINDS
from spinforge.simulation.errors import SpinforgeError


def sets_of(content, available=KINDS):
    return Corruptions.model_validate(content).at_strengths(available)


def test_all_is_every_corruption_at_every_level():
    sets = sets_of("all")
    assert [s.group for s in sets[:6]] == [
        *(f"corrupt/noise/{level}" for level in range(1, 6)),
        "corrupt/noise_gauss/1",
    ]
    assert len(sets) == 15 * 5
    assert all(s.chain[0].level == s.level for s in sets)


def test_short_forms_are_the_long_ones():
    long = {
        "sets": [
            {"name": "noise", "chain": [{"kind": "noise"}]},
            {"name": "both", "chain": [{"kind": "motion"}, {"kind": "noise", "level": 1}]},
        ]
    }
    short = ["noise", {"name": "both", "chain": ["motion", {"kind": "noise", "level": 1}]}]
    assert Corruptions.model_validate(short) == Corruptions.model_validate(long)
    assert Corruptions.model_validate("motion") == Corruptions.model_validate(["motion"])
    assert sets_of({"sets": ["motion"], "levels": [0, 5]}) == sets_of(
        [{"name": "motion", "chain": ["motion"], "levels": [0, 5]}]
    )


def test_what_was_read_is_read_again_from_its_own_record():
    settings = Corruptions.model_validate(
        ["noise", {"name": "x", "chain": ["inu"], "percent": [3]}]
    )
    assert Corruptions.model_validate(settings.model_dump(mode="json")) == settings


def test_the_level_applies_to_all_that_do_not_say_their_own():
    chain = ["motion", {"kind": "inu", "level": 1}, {"kind": "noise", "percent": 3}]
    (chosen,) = sets_of([{"name": "mixed", "chain": chain, "levels": [4]}])
    motion, inu, noise = chosen.chain
    assert (motion.level, inu.level, noise.level, noise.percent) == (4, 1, None, 3)


def test_a_chain_that_says_everything_is_one_set():
    chain = [{"kind": "inu", "percent": 20}, {"kind": "noise", "percent": 3}]
    (chosen,) = sets_of([{"name": "pn3-rf20", "chain": chain}])
    assert chosen.group == "corrupt/pn3-rf20/fixed"


def test_brainwebs_eighteen_images():
    """Noise 0 to 9 % after a field of 0, 20, 40 % that is A, B or C by contrast."""
    sets = sets_of("brainweb")
    assert [chain.name for chain in brainweb_chains()] == ["rf0", "rf20", "rf40"]
    assert [s.strength for s in sets] == ["0", "1", "3", "5", "7", "9"] * 3
    for chosen in sets:
        *field, noise = chosen.chain
        assert (noise.kind, noise.percent) == ("noise", float(chosen.strength))
        assert [(f.kind, f.percent, f.shape) for f in field] == (
            [("inu", float(chosen.name[2:]), "by_contrast")] if chosen.name != "rf0" else []
        )


def test_the_hash_is_that_of_what_shapes_the_bytes():
    def hash_of(**changes):
        content = {"name": "a", "chain": ["motion"], "levels": [3]}
        options = {k: changes.pop(k) for k in ("seed", "couple_levels") if k in changes}
        return sets_of({"sets": [content | changes], **options})[0].config_hash

    base = hash_of()
    assert hash_of(name="b") == base
    changed = [
        hash_of(levels=[2]),
        hash_of(chain=["ghost"]),
        hash_of(chain=["motion", "motion"]),
        hash_of(seed=1),
        hash_of(couple_levels=True),
    ]
    assert len({base, *changed}) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"chain": ["motion", "b0"]}, "another scan come first"),
        ({"chain": ["noise"], "levels": [1], "percent": [1]}, "either levels or percent, not both"),
        ({"chain": ["noise"], "levels": [1, 1]}, r"different values, got \[1, 1\]"),
        ({"chain": ["noise"], "levels": []}, r"different values, got \[\]"),
        ({"chain": ["noise"], "levels": [6]}, "less than or equal to 5"),
        ({"chain": ["motion"], "percent": [1]}, "motion has levels, no percent"),
        ({"chain": ["noise"], "percent": [-1]}, "percent of noise must not be negative"),
        ({"chain": [{"kind": "noise", "level": 1}], "levels": [1]}, "says its own strength"),
        ({"chain": []}, "at least 1 item"),
        ({"chain": ["snow"]}, "'noise', 'noise_gauss', 'inu'"),
    ],
)
def test_chains_that_make_no_sense_are_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        Chain.model_validate({"name": "a"} | content)


def test_two_sets_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two sets are named noise"):
        Corruptions.model_validate({"preset": "all", "sets": [{"name": "noise", "chain": ["inu"]}]})


SPLIT = Split(train=("a", "b"), validation=("c",), test=("d",))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("test", ["d"]),
        ("all", ["a", "b", "c", "d"]),
        (["test", "b"], ["b", "d"]),
        ("validation", ["c"]),
    ],
)
def test_subjects_are_chosen_by_group_or_name(words, expected):
    settings = Corruptions.model_validate({"preset": "all", "subjects": words})
    assert settings.chosen_subjects(SPLIT) == expected


def test_a_set_that_is_not_split_by_subject_is_corrupted_whole():
    assert Corruptions().chosen_subjects(Split(train=("a",), validation=(), test=())) == ["a"]


def test_an_unknown_subject_is_named():
    with pytest.raises(SpinforgeError, match=r"corruptions.subjects: no 'z'; choose .*a, b, c, d"):
        Corruptions(subjects=("z",)).chosen_subjects(SPLIT)
