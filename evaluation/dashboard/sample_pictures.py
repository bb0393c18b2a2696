"""Pictures of one case beside each other, as HTML: two columns on a phone, four else."""

from collections.abc import Sequence
from html import escape

from spinforge.evaluation.report.colours import ERROR_COLOURS, class_colours
from spinforge.evaluation.report.content import CaseImages, Labels
from spinforge.evaluation.report.pictures import error_picture, magnitude_picture, tint_picture


def panels(case: CaseImages, network: str, classes: Sequence[str], *, seen: str, what: str) -> str:
    """Image, truth, prediction and errors.

    Args:
        case: The slice.
        network: Whose prediction.
        classes: Names of the classes, the background first.
        seen: What networks were shown, as the title of the first picture.
        what: Which images these are, such as "motion, level 3".
    """
    colours = list(class_colours(classes).values())
    grey, found = magnitude_picture(case.image), case.predictions[network]

    def over(labels: Labels) -> list[str]:
        return [grey, tint_picture(labels, colours)]

    pictures = [
        (seen, [grey]),
        ("truth", over(case.target)),
        (network, over(found)),
        ("errors", [error_picture(found, case.target)]),
    ]
    figures = "".join(_figure(title, layers, what) for title, layers in pictures)
    return f'<div class="sf-panels">{figures}</div>'


def _figure(title: str, layers: Sequence[str], what: str) -> str:
    described = escape(f"{title}; {what}")
    images = "".join(
        f'<img src="{layer}" alt="{"" if number else described}">'
        for number, layer in enumerate(layers)
    )
    return (
        f'<figure><div class="sf-stack">{images}</div>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def colour_key(classes: Sequence[str]) -> str:
    """What the colours of tissues and errors mean."""
    colours = class_colours(classes) | ERROR_COLOURS
    items = "".join(
        f'<span><i class="sf-swatch" style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in colours.items()
    )
    return f'<div class="sf-legend">{items}</div>'
