"""Which sequence and scanner made an image: of the study, or of the scan of a corrupted set."""

from typing import Any


def sequence_of(
    attributes: dict[str, Any], config: dict[str, Any], contrast: str
) -> dict[str, Any]:
    """Settings of the sequence behind an array, as in a study; empty if they are not known.

    Args:
        attributes: Provenance of the subject.
        config: What its set was made with.
        contrast: Name of the array, "full" for k-space.
    """
    if again := attributes.get("rescanned", {}).get(contrast):
        return dict(again["sequence"])
    if "scan" in config:
        return dict(config["scan"])
    return dict(attributes.get("parameters", {}).get("sequences", {}).get(contrast, {}))


def scanner_of(attributes: dict[str, Any], config: dict[str, Any], contrast: str) -> dict[str, Any]:
    """Settings of the scanner behind an array; empty if they are not known. As `sequence_of`."""
    if again := attributes.get("rescanned", {}).get(contrast):
        return dict(again["scanner"])
    return dict(config.get("scanner", {}))
