"""What the Brain Imaging Data Structure calls our subjects, contrasts and settings."""

import re
from collections.abc import Sequence
from typing import Any

from spinforge.datasets.export.raw_scan import flip_angle_deg
from spinforge.datasets.reading.acquisition import scanner_of, sequence_of
from spinforge.datasets.reading.origin import Origin, origin_of
from spinforge.datasets.reading.stored_volumes import StoredVolume
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue_sets import TISSUE_SETS

SUFFIXES = {
    "T1": "T1w",
    "T2": "T2w",
    "PD": "PDw",
    "FLAIR": "FLAIR",
    "T2FLAIR": "FLAIR",
    "T1IR": "acq-IR_T1w",
    "IR": "acq-IR_T1w",
    "BSSFP": "acq-bSSFP_T2w",  # its contrast is that of T2/T1
}
"""Name of a contrast, letters and digits only, without a final W -> acquisition and suffix."""

_BY_SEQUENCE = {
    "gradient_echo": "T1w",
    "mprage": "T1w",
    "inversion_recovery": "FLAIR",
    "balanced_ssfp": SUFFIXES["BSSFP"],
}
# Usual bounds of weighting in spin echoes (Bernstein et al., Handbook of MRI Pulse Sequences, 2004,
# chapter 14): below both times of tissue T1 weighs, between them proton density, above both T2.
_LONG_TE_MS, _LONG_TR_MS = 50.0, 1500.0


def subject_labels(subjects: Sequence[str]) -> dict[str, str]:
    """Subject -> its label: letters and digits only, "subject04" simply "04".

    Raises:
        SpinforgeError: If two subjects would get the same one.
    """
    labels = {s: re.sub(r"[^0-9A-Za-z]", "", re.sub(r"^subject(?=\d)", "", s)) for s in subjects}
    by_label: dict[str, list[str]] = {}
    for subject, label in labels.items():
        by_label.setdefault(label.lower(), []).append(subject)
    for label, names in by_label.items():
        if len(names) > 1 or not label:
            raise SpinforgeError(
                f"subjects {', '.join(names)} would all be sub-{label} in BIDS, whose labels have "
                f"letters and digits only. Export them into folders of their own."
            )
    return labels


def suffix_of(stored: StoredVolume, contrast: str) -> str:
    """Suffix of an image's file, such as "T1w", with what must stand before it.

    Raises:
        SpinforgeError: If BIDS has no name for such images.
    """
    if stored.is_kspace:
        return _weighting(stored.config["scan"])
    key = re.sub(r"[^0-9A-Z]", "", contrast.upper()).removesuffix("W")
    # By the study's sequence, so that all subjects of a corrupted set are named alike.
    noted = stored.volume.parameters.get("parameters", {}).get("sequences", {})
    if key not in SUFFIXES and contrast in noted:
        return _weighting(noted[contrast])
    if key not in SUFFIXES:
        raise SpinforgeError(
            f"contrast {contrast!r} of subject {stored.volume.subject} has no place in BIDS, which "
            f"knows magnetic resonance images of contrasts {', '.join(SUFFIXES)}. Read such sets "
            f"with zarr instead."
        )
    return SUFFIXES[key]


def _echo_ms(sequence: dict[str, Any]) -> float:
    early = sequence["kind"] == "dual_echo" and sequence["echo"] == "early"
    return float(sequence["early_te_ms"] if early else sequence["te_ms"])


def _weighting(sequence: dict[str, Any]) -> str:
    if sequence["kind"] in _BY_SEQUENCE:
        return _BY_SEQUENCE[sequence["kind"]]
    if _echo_ms(sequence) > _LONG_TE_MS:
        return "T2w"
    return "PDw" if sequence["tr_ms"] > _LONG_TR_MS else "T1w"


def sidecar(stored: StoredVolume, contrast: str) -> dict[str, Any]:
    """What the JSON file beside an image says; times are seconds, angles degrees."""
    attributes, config = stored.volume.parameters, stored.config
    array = "full" if stored.is_kspace else contrast
    scanner = scanner_of(attributes, config, array)
    sequence = sequence_of(attributes, config, array)
    tissue_set = scanner.get("tissue_set") or attributes.get("parameters", {}).get("tissue_set")
    content: dict[str, Any] = {
        **_made_by(origin_of(attributes), scanner.get("profile") or config.get("product")),
        "SpinforgeConfigHash": attributes["config_hash"],
        "SpinforgeContentSha256": attributes["content_sha256"],
    }
    if tissue_set in TISSUE_SETS:
        content["MagneticFieldStrength"] = TISSUE_SETS[tissue_set].field_t
    if sequence:
        content |= _timing(sequence)
    if not stored.is_kspace:
        return content | {"SourceContrast": contrast}
    drawn = attributes["scan"]
    noise = drawn["noise_std"]
    return content | {
        "ImageDescription": "Magnitude of the fully sampled k-space with its noise; "
        "coils combined by their known sensitivities.",
        "SkullStripped": False,
        "MRAcquisitionType": "2D",
        "SliceThickness": stored.volume.spacing_mm[0],
        "RepetitionTime": drawn["tr_s"],
        "EchoTime": drawn["te_s"],
        **({} if noise is None else {"NoiseStandardDeviation": noise}),
    }


def _made_by(origin: Origin, profile: str | None) -> dict[str, Any]:
    """Whether, how and by whom an image was simulated, or which collection it is from."""
    made: dict[str, Any] = {"Simulated": origin.simulated}
    if origin.maker:
        made["Manufacturer"] = f"{origin.maker} (simulated)"
    if origin.collection:
        return made | {"SourceCollection": origin.collection}
    return made | {"SimulationProfile": profile or "unknown"}


def _timing(sequence: dict[str, Any]) -> dict[str, Any]:
    """What the operator set; in studies times are milliseconds."""
    inversion = {"InversionTime": 1e-3 * sequence["ti_ms"]} if "ti_ms" in sequence else {}
    return {
        "PulseSequenceType": sequence["kind"].replace("_", " "),
        "RepetitionTime": 1e-3 * sequence["tr_ms"],
        "EchoTime": 1e-3 * _echo_ms(sequence),
        "FlipAngle": flip_angle_deg(sequence),
        **inversion,
    }
