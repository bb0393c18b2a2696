"""What a study file calls a tissue, and which value of a label map is which."""

import difflib
from typing import Annotated

from pydantic import AfterValidator

from spinforge.simulation.tissue import Tissue

TISSUES_BY_NAME = {tissue.name.lower(): tissue for tissue in Tissue} | {
    "gm": Tissue.GREY_MATTER,
    "wm": Tissue.WHITE_MATTER,
}


def _known(name: str) -> str:
    if name not in TISSUES_BY_NAME:
        near = difflib.get_close_matches(name, TISSUES_BY_NAME, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown tissue {name!r}. {hint}Known: {', '.join(TISSUES_BY_NAME)}")
    return name


TissueName = Annotated[str, AfterValidator(_known)]


def tissue_codes(labels: dict[int, str]) -> dict[int, int]:
    """Value in a label map -> code of its tissue; 0 is the background unless said otherwise."""
    return {0: int(Tissue.BACKGROUND)} | {v: int(TISSUES_BY_NAME[n]) for v, n in labels.items()}
