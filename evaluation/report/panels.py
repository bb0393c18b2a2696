"""Pictures with their texts, side by side under one heading."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinforge.evaluation.report import colours, pictures
from spinforge.evaluation.report.content import CaseImages


@dataclass(frozen=True)
class Panel:
    """One picture.

    A picture that lies under others stands in the page only once and is referred to by name:
    noisy images hardly compress, and would otherwise be most of the file.

    Attributes:
        picture: PNG as a data URI.
        title: Text under the picture.
        alt: Text for those who cannot see it.
        name: Id of this picture, if others are laid over it.
        beneath: Id of the picture this one is laid over, if any.
    """

    picture: str
    title: str
    alt: str
    name: str = ""
    beneath: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures of one size (width, height [pixels]) that belong together, under one heading."""

    heading: str
    detail: str
    size: tuple[int, int]
    panels: list[Panel]


def compared_panels(
    images: CaseImages,
    network: str,
    where: str,
    *,
    seen: str,
    classes: Sequence[str],
    name: str,
) -> list[Panel]:
    """Image, ground truth, prediction and errors of one slice.

    Args:
        images: The slice, with its true labels and the network's.
        network: Whose labels are shown.
        where: Which slice, in words.
        seen: What networks were shown, as the title of the image.
        classes: Names of the classes, the background first.
        name: Id of the image, over which truth and prediction lie.

    Raises:
        ValueError: If there are no labels of the network.
    """
    if network not in images.predictions:
        raise ValueError(f"no prediction of {network!r} for {where}")
    predicted = images.predictions[network]
    tints = colours.class_colours(classes).values()
    wrong = float((predicted != images.target).mean())
    return [
        Panel(pictures.magnitude_picture(images.image), seen, f"{seen}, {where}", name=name),
        Panel(
            pictures.tint_picture(images.target, tints),
            "Ground truth",
            f"True tissues over the image, {where}",
            beneath=name,
        ),
        Panel(
            pictures.tint_picture(predicted, tints),
            "Prediction",
            f"Tissues predicted by {network} over the image, {where}",
            beneath=name,
        ),
        Panel(
            pictures.error_picture(predicted, images.target),
            f"Errors: {wrong:.1%} of pixels",
            f"Map of the errors of {network}, {where}: {wrong:.1%} of all pixels are wrong",
        ),
    ]
