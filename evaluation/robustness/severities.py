"""Which rows of the long table a corruption set has: its transform, severity and strength."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from spinforge.datasets.corruption.settings import CorruptedSet


class Severity(NamedTuple):
    """One corruption set as rows of the long table name it.

    Attributes:
        transform: Name of the set.
        severity: Its level; of sets in percent its rank, from 1 for the weakest.
        strength: The same in words, such as "level 3" or "5 %".
        chosen: The set itself.
    """

    transform: str
    severity: int
    strength: str
    chosen: CorruptedSet

    @property
    def group(self) -> str:
        """Name and strength of the set, as `Study.test_on` wants it."""
        return f"{self.chosen.name}/{self.chosen.strength}"


def severities(sets: Iterable[CorruptedSet]) -> list[Severity]:
    """Severity of every set, weakest first in each transform.

    Sets that leave the images as they are (level 0, 0 % of everything) are left out: the clean
    images stand for them.

    Args:
        sets: All strengths of a chain one after the other, as `chosen_sets` gives them.
    """
    found = []
    for name, group in groupby(sets, key=lambda chosen: chosen.name):
        strengths = [s for s in group if not all(c.is_nothing for c in s.chain)]
        strengths.sort(key=_strength)
        for rank, chosen in enumerate(strengths, start=1):
            severity = rank if chosen.level is None else chosen.level
            found.append(Severity(name, severity, _words(chosen), chosen))
    return found


def transform_in_words(sets: Sequence[CorruptedSet], name: str) -> str:
    """What one transform does: the first sentence about each corruption of its chain.

    The percentages of the levels are left out where the set has others.
    """
    chosen = next(chosen for chosen in sets if chosen.name == name)
    sentences = [(type(c).__doc__ or "").split("\n")[0].rstrip(".") for c in chosen.chain]
    if chosen.percent is not None:
        sentences = [re.sub(r"(:| of) \d+(, \d+)* %", "", sentence) for sentence in sentences]
    return "; then: ".join(sentences)


def _strength(chosen: CorruptedSet) -> tuple[float, float]:
    """Of fields that may also be turned round, the size counts first."""
    value = chosen.percent if chosen.percent is not None else float(chosen.level or 0)
    return abs(value), value


def _words(chosen: CorruptedSet) -> str:
    if chosen.percent is not None:
        return f"{chosen.percent:g} %"
    return "as the study says" if chosen.level is None else f"level {chosen.level}"
