"""Severities in words, for axes and sentences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")

LONGEST_TICK = 7
"""Characters that fit below an axis of six severities."""


@dataclass(frozen=True)
class SeverityAxis:
    """The severities of one transform.

    Attributes:
        severities: Its levels, from the mildest.
        ticks: A short word for each.
        title: What they are.
    """

    severities: tuple[int, ...]
    ticks: tuple[str, ...]
    title: str


def severity_axis(
    name: str, severities: Sequence[int], strengths: Mapping[tuple[str, int], str]
) -> SeverityAxis:
    """What all strengths share is the title ("%", "level"), what they differ in the ticks.

    Args:
        name: Of the transform.
        severities: Its levels.
        strengths: (transform, severity) -> its strength in words.
    """
    words = [strengths.get((name, severity), f"level {severity}") for severity in severities]
    shared = {_NUMBER.sub("{}", text, count=1) for text in words}
    found = [_NUMBER.search(text) for text in words]
    if len(shared) == 1 and all(found):
        title = shared.pop().replace("{}", "").strip(" ,:=()") or "strength"
        return SeverityAxis(tuple(severities), tuple(hit[0] for hit in found if hit), title)
    if all(len(text) <= LONGEST_TICK for text in words):
        return SeverityAxis(tuple(severities), tuple(words), "strength")
    return SeverityAxis(tuple(severities), tuple(map(str, severities)), "level")
