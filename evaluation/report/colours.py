"""Colours that stay apart for colour-blind readers, in print, and on light or dark ground.

Source: Okabe and Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/.
"""

from collections.abc import Sequence

BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
WHITE = "#FFFFFF"
GREY = "#5F5F5F"
BLACK = "#000000"

TISSUE_COLOURS = {"CSF": SKY, "GM": VERMILLION, "WM": YELLOW}
"""Far apart in hue and in lightness, also on top of a grey image."""

_OTHER_COLOURS = (
    SKY,
    VERMILLION,
    YELLOW,
    GREEN,
    PURPLE,
    ORANGE,
    BLUE,
    "#F4C7AB",
    "#8DD3C7",
    "#B15928",
    "#FFFFFF",
)


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Class -> colour, the background left out; CSF, GM and WM are the same everywhere."""
    return {
        name: TISSUE_COLOURS.get(name, _OTHER_COLOURS[number % len(_OTHER_COLOURS)])
        for number, name in enumerate(classes[1:])
    }


ERROR_COLOURS = {
    "missed (tissue taken for background)": PURPLE,
    "invented (background taken for tissue)": GREEN,
    "confused (one tissue taken for another)": WHITE,
}
"""None of them stands for a tissue."""

NETWORK_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
"""Repeated, with another line style, when there are more networks."""


def network_colour(position: int) -> str:
    """Colour of the network at this position in the report."""
    return NETWORK_COLOURS[position % len(NETWORK_COLOURS)]


def dash_style(position: int) -> tuple[float, ...]:
    """Lengths of dashes and gaps [line widths] of the network at this position; () is solid."""
    styles: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1, 1.2), (6, 1.5, 1, 1.5))
    return styles[position // len(NETWORK_COLOURS) % len(styles)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour written as #RRGGBB."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
