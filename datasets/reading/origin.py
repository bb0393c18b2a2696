"""Where images and labels of a subject come from, in words: simulated, published, corrupted."""

from dataclasses import dataclass
from typing import Any

PUBLISHED = "files"
"""`phantom.source` of subjects that were read from image files, not simulated here."""


@dataclass(frozen=True)
class Origin:
    """What may be said of the images and labels of a set.

    Attributes:
        simulated: Whether the images were simulated, by whomever.
        maker: Who simulated them; None of images that a scanner or camera took.
        collection: Name of the published collection they are from; None if they were made here.
        images: A sentence about the images.
        labels: What the labels are, such as "true labels".
        labels_detail: A phrase about where they come from.
    """

    simulated: bool
    maker: str | None
    collection: str | None
    images: str
    labels: str
    labels_detail: str


def origin_of(attributes: dict[str, Any]) -> Origin:
    """Read the origin from a subject's provenance.

    Args:
        attributes: Of the subject, as stored.
    """
    phantom = attributes["phantom"]
    if phantom["source"] != PUBLISHED:
        images = "Simulated images, made by Spinforge; no scanner took them."
        if attributes.get("labels") == "EM segmentation":
            detail = "found in the images by an automatic segmentation, with its errors"
            return Origin(True, "Spinforge", None, images, "automatic labels", detail)
        return Origin(True, "Spinforge", None, images, "true labels", "the simulation's own truth")
    collection = phantom.get("collection") or {}
    name = str(collection.get("name", "files"))
    cited = f" Cite {collection['cite']}." if collection else ""
    if collection.get("simulated", False):
        images = f"Simulated images of {name}, which made them; Spinforge read them.{cited}"
        detail = f"those of the model that {name} simulated"
        return Origin(True, name, name, images, "true labels", detail)
    images = (
        f"Real images, not simulated: those of {name}, as Spinforge read them.{cited} Its terms "
        f"hold for this copy."
    )
    detail = f"published with {name}, their values recoded by Spinforge"
    return Origin(False, None, name, images, "published labels", detail)
