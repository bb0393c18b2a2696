"""Slices for a data card: of every product, and of every corruption and level."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.card.content import CardTable, Picture, PictureRow, window_of
from spinforge.datasets.card.set_facts import is_photograph
from spinforge.datasets.products.kspace import FIXED_MASK
from spinforge.datasets.reading.stored_volumes import stored_volumes
from spinforge.datasets.reading.subject_reader import SubjectReader
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.reconstruction import zero_filled_combined

_HEIGHTS = (0.3, 0.55, 0.75)
"""Of the slices of k-space that are shown: cerebellum, ventricles and above."""

_PARAMETER_CHARACTERS, _FIRST_ENTRIES = 160, 3


def examples(store: DatasetStore, subject: str) -> list[PictureRow]:
    """Slices of one subject of the clean set."""
    reader = SubjectReader(store, subject)
    if "full" in reader.own:
        return [_scan_row(reader, height) for height in _HEIGHTS]
    rows = []
    for stored in stored_volumes(store, subject):
        volume = stored.volume
        labels = volume.labels
        number = _fullest(labels) if labels is not None else _middle(volume.contrasts)
        photograph = is_photograph(volume.parameters)
        if photograph:
            pictures = [_photograph(volume.contrasts, number)]
        else:
            pictures = [Picture(name, _plain(a[number])) for name, a in volume.contrasts.items()]
        if labels is not None:
            pictures.append(Picture("labels", labels[number], "labels", top_first=photograph))
        where = f"{subject}, {stored.session}" if stored.session else subject
        rows.append(PictureRow(f"{where}, slice {number}", "", pictures, volume.spacing_mm[1:]))
    return rows


def _photograph(contrasts: dict[str, NDArray[Any]], number: int) -> Picture:
    """The three colours as one picture; bytes, or numbers from 0 to 1."""
    colours = np.stack([contrasts[name][number] for name in ("red", "green", "blue")], axis=-1)
    if colours.dtype != np.uint8:
        colours = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    return Picture("photograph", colours, "photograph", top_first=True)


def _middle(contrasts: dict[str, NDArray[Any]]) -> int:
    """The middle slice."""
    return len(next(iter(contrasts.values()))) // 2


def _plain(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _fullest(labels: NDArray[np.uint8]) -> int:
    """The slice with most that is labelled and not background."""
    return int(((labels != 0) & (labels != IGNORE)).sum((1, 2)).argmax())


def _scan_row(reader: SubjectReader, height: float) -> PictureRow:
    """Fully sampled, noise-free and zero-filled image, the lines and the labels."""
    target, masks = reader.read("target"), reader.read(f"masks/{FIXED_MASK}")
    number = int(height * len(target))
    kspace = torch.from_numpy(reader.read("full")[number])
    maps = reader.read("coil_maps")
    sensitivities = torch.from_numpy(maps[number if len(maps) > 1 else 0])
    mask = torch.from_numpy(masks[number])

    def shown(lines: torch.Tensor) -> NDArray[np.float32]:
        return zero_filled_combined(kspace, lines, sensitivities).abs().numpy().T

    lines = np.repeat(masks[number][None], kspace.shape[-1], axis=0)
    pictures = [
        Picture("fully sampled, with noise", shown(torch.ones_like(mask))),
        Picture("noise-free", np.abs(reader.read("image_clean")[number]).T),
        Picture(f"{int(mask.sum())} of {len(mask)} lines", lines, "lines"),
        Picture("zero-filled", shown(mask)),
        Picture("labels", target[number].T, "labels"),
    ]
    return PictureRow(f"{reader.subject}, slice {number}", "", pictures, reader.spacing_mm[1:])


# -------------------------------------------------------------------- corruptions


def corrupted_groups(store: DatasetStore) -> dict[str, list[str]]:
    """Name of each set of corrupted images -> its levels, in ascending order."""
    return {
        name: sorted(store.location.folders(f"corrupt/{name}"), key=_level_order)
        for name in store.location.folders("corrupt")
    }


def _level_order(level: str) -> tuple[float, str]:
    """Numbers, whole or not, by their value; words behind them."""
    try:
        return float(level), level
    except ValueError:
        return math.inf, level


def corruption_rows(store: DatasetStore, preferred: str) -> tuple[list[PictureRow], CardTable]:
    """One slice of every corruption at every level beside the clean one, and a table of them.

    Args:
        store: The clean set.
        preferred: Whose slices to show, where that subject was corrupted.
    """
    rows, listed = [], []
    for name, levels in corrupted_groups(store).items():
        pictures: list[Picture] = []
        details, shown, subjects = [], [], set()
        pixel = (1.0, 1.0)
        for level in levels:
            group = store.within(f"corrupt/{name}/{level}")
            there = group.complete_subjects()
            if not there:
                continue
            subjects |= set(there)
            reader = SubjectReader(group, preferred if preferred in there else there[0])
            pixel = reader.spacing_mm[1:]
            contrast = _shown_contrast(reader)
            if not pictures:
                clean = _plane(SubjectReader(store, reader.subject), contrast)
                pictures.append(Picture("clean", clean, window=window_of(clean)))
            plane = _plane(reader, contrast)
            strength = _strength(level, reader.attributes)
            title = f"level {strength}" if strength.isdigit() else strength
            pictures.append(Picture(title, plane, window=pictures[0].window))
            details.append(f"{strength}: {_parameters(reader.attributes, contrast)}")
            shown.append(strength)
        if pictures:
            rows.append(PictureRow(name, "; ".join(details), pictures, pixel))
            listed.append([name, ", ".join(shown), str(len(subjects))])
    caption = "Sets of corrupted images: corrupt/<name>/<level>/<subject>."
    return rows, CardTable(caption, ["Corruption", "levels or percentages", "subjects"], listed)


def _strength(name: str, attributes: dict[str, Any]) -> str:
    """A level as its number, a percentage with its unit, anything else by its name."""
    return name if attributes.get("percent") is None else f"{name} %"


def _shown_contrast(reader: SubjectReader) -> str:
    """The first image of a corrupted subject, or its k-space."""
    volumes = [name for name in reader.own if len(reader.shape(name)) == 3]
    return "full" if "full" in reader.own else volumes[0]


def _plane(reader: SubjectReader, contrast: str) -> NDArray[np.float32]:
    """The slice (y, x) with most labels; the same of the clean and the corrupted subject."""
    labels = next((n for n in ("target", "label") if n in reader.names), None)
    number = _fullest(reader.read(labels)) if labels else reader.shape(contrast)[0] // 2
    plane = reader.read_slice(contrast, number)
    if plane.ndim == 2:
        return _plain(plane)
    maps = reader.read("coil_maps")
    sensitivities = torch.from_numpy(maps[number if len(maps) > 1 else 0])
    every_line = torch.ones(plane.shape[-2], dtype=torch.bool)
    image = zero_filled_combined(torch.from_numpy(plane), every_line, sensitivities)
    return image.abs().numpy().T


def _parameters(attributes: dict[str, Any], contrast: str) -> str:
    """What was drawn for the shown image, in a few words."""
    steps = attributes.get("history", {}).get(contrast, [])
    several = len({step["id"] for step in steps}) > 1
    parts = [
        f"{step['id']}: {_words(step['parameters'])}" if several else _words(step["parameters"])
        for step in steps
    ]
    text = "; ".join(part for part in parts if part) or "no parameter"
    return text if len(text) <= _PARAMETER_CHARACTERS else text[:_PARAMETER_CHARACTERS] + " ..."


def _words(value: Any) -> str:
    """Such as "sigma 0.013, lines 4"; long lists by their first numbers."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        shown = " ".join(_words(entry) for entry in value[:_FIRST_ENTRIES])
        return f"[{shown}{' ...' if len(value) > _FIRST_ENTRIES else ''}]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
