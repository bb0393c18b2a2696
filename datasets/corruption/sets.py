"""Corruption sets: every clean subject again, with one chain of corruptions at one strength.

Layout, beside the clean set in the same store:

    corrupt/<name>/<strength>/<subject>/     attributes: provenance, chain, history, source
      full | T1, T2, ...                     of the clean array's shape and type
      te, tr                                 of k-space that was scanned again

What a subject lacks here (labels, masks, coil maps) is that of the clean set; `CorruptedStore`
reads both as one.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from spinforge.datasets.corruption.scan_notes import scan_notes, settings_of
from spinforge.datasets.corruption.settings import CORRUPTION, FIXED, CorruptedSet
from spinforge.datasets.corruption.sources import CleanSubject, History, Rescanner
from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.product import Maker, provenance
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.config import content_hash
from spinforge.simulation.corruption.corrupt import corrupt_scan
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.threads import one_thread


class CorruptedStore(DatasetStore):
    """A set as it would be if its images were the corrupted ones.

    Args:
        clean: The set, seen as its clean subjects.
        name: Of the corruption set.
        strength: Level, percentage, or "fixed".
    """

    def __init__(self, clean: DatasetStore, name: str, strength: str | int) -> None:
        super().__init__(clean.path, f"corrupt/{name}/{strength}")
        self.clean = clean

    def read(self, subject: str, name: str) -> NDArray[Any]:
        """One whole array: the corrupted one, or the clean one where nothing changed it.

        Raises:
            SpinforgeError: If the subject is in either set missing, or the array damaged.
        """
        attributes = self.subject_attributes(subject)
        if attributes is not None and name not in attributes["sha256"]:
            return self.clean.read(subject, name)
        return super().read(subject, name)


def is_done(store: DatasetStore, subject: str, chosen: CorruptedSet) -> bool:
    """Whether a subject is complete in a corruption set, from the same settings and clean images.

    Args:
        store: The set, seen as its clean subjects.
        subject: Which.
        chosen: Which corruption set.

    Raises:
        SpinforgeError: If it is there but was made from something else.
    """
    corrupted = store.within(chosen.group)
    attributes = corrupted.subject_attributes(subject)
    if attributes is None:
        return False
    clean = store.subject_attributes(subject) or {}
    found = (attributes["config_hash"], attributes["source"]["content_sha256"])
    wanted = (chosen.config_hash, clean.get("content_sha256"))
    if found != wanted:
        raise SpinforgeError(
            f"{corrupted.subject_path(subject)} was made from other corruptions or clean images.\n"
            f"  its hashes: {found[0]} (corruption), {found[1]} (clean)\n"
            f"  this study: {wanted[0]} (corruption), {wanted[1]} (clean)\n"
            f"Give the set another name, or replace it with: spinforge corrupt STUDY.yaml "
            f"--overwrite"
        )
    return True


def clean_subject(maker: Maker, store: DatasetStore, subject: str) -> CleanSubject:
    """A clean subject, with its sequences if it is simulated."""
    scans = maker.clean_scans() if isinstance(maker, Rescanner) else {}
    return CleanSubject(store, subject, {name: sequence for name, (sequence, _) in scans.items()})


def make_sets(
    product: Product,
    store: DatasetStore,
    subject: str,
    sets: Sequence[CorruptedSet],
    *,
    overwrite: bool = False,
) -> list[str]:
    """Make one subject's corruption sets; what is complete already is left alone.

    Args:
        product: Of the clean set.
        store: The set, seen as its clean subjects.
        subject: Which.
        sets: Which corruption sets.
        overwrite: Replace what was made from something else.

    Returns:
        SHA-256 of the subject's arrays in each set.

    Raises:
        SpinforgeError: If something else is in the way and may not be replaced.
    """
    maker = maker_of(product)
    clean = clean_subject(maker, store, subject)
    phantom: Phantom | None = None
    with one_thread():
        for chosen in sets:
            if may_stay(store, subject, chosen, overwrite):
                continue
            if phantom is None and chosen.needs_phantom and isinstance(maker, Rescanner):
                phantom = maker.load_phantom(subject)
            arrays, histories, rescanned = _corrupted(maker, clean, chosen, phantom)
            notes = provenance(product, subject) | _notes(clean, chosen, histories)
            notes |= scan_notes(clean, arrays, histories, rescanned)
            store.within(chosen.group).write_subject(subject, arrays, notes)
    return [_content(store.within(chosen.group), subject) for chosen in sets]


def may_stay(store: DatasetStore, subject: str, chosen: CorruptedSet, overwrite: bool) -> bool:
    """Whether a subject needs not be made again.

    Args:
        store: The set, seen as its clean subjects.
        subject: Which.
        chosen: Which corruption set.
        overwrite: What was made from something else is to be replaced.

    Raises:
        SpinforgeError: If something else is in the way and may not be replaced.
    """
    try:
        return is_done(store, subject, chosen)
    except SpinforgeError:
        if overwrite:
            return False
        raise


def _corrupted(
    maker: Maker, clean: CleanSubject, chosen: CorruptedSet, phantom: Phantom | None
) -> tuple[dict[str, StoredArray], dict[str, History], dict[str, dict[str, Any]]]:
    """Arrays of one subject, the history of each contrast, and how those scanned again were."""
    arrays: dict[str, StoredArray] = {}
    histories: dict[str, History] = {}
    rescanned: dict[str, dict[str, Any]] = {}
    for contrast in clean.contrasts:
        scanned, history, settings = _scanned_again(maker, clean, contrast, chosen, phantom)
        values = scanned[contrast].values if scanned else clean.read(contrast)
        values, more = clean.corrupted(
            contrast,
            values,
            chosen.of_images,
            chosen.path(clean.subject, clean.drawn_as(contrast)),
            couple_levels=chosen.couple_levels,
            first_position=len(chosen.rescans),
        )
        arrays |= scanned
        arrays[contrast] = clean.stored_like(contrast, values)
        histories[contrast] = history + more
        if scanned:
            rescanned[contrast] = settings
    return arrays, histories, rescanned


def _scanned_again(
    maker: Maker,
    clean: CleanSubject,
    contrast: str,
    chosen: CorruptedSet,
    phantom: Phantom | None,
) -> tuple[dict[str, StoredArray], History, dict[str, Any]]:
    """One contrast by another scan, how that differs, and its settings; nothing where it is not."""
    if not chosen.rescans or not isinstance(maker, Rescanner):
        return {}, [], {}
    sequence, scanner = maker.clean_scans()[contrast]
    sequence, scanner, history = corrupt_scan(
        sequence,
        scanner,
        chosen.rescans,
        chosen.path(clean.subject, contrast),
        couple_levels=chosen.couple_levels,
    )
    if phantom is None or not chosen.needs_phantom:
        return {}, history, {}
    arrays = maker.rescan(phantom, contrast, sequence, scanner, clean.attributes)
    return arrays, history, settings_of(sequence, scanner)


def _notes(
    clean: CleanSubject, chosen: CorruptedSet, histories: dict[str, History]
) -> dict[str, Any]:
    """What is noted of a corrupted subject.

    `history` holds, for each contrast, a list in the order of the chain: `id`, `level`,
    `parameters` as drawn and `rng_path` of each corruption.
    """
    return {
        "config_hash": chosen.config_hash,
        "root_seed": chosen.seed,
        "corruption": chosen.name,
        "strength": chosen.strength,
        "level": chosen.level,
        "percent": chosen.percent,
        "chain": chosen.recipe["chain"],
        "couple_levels": chosen.couple_levels,
        "corruption_version": CORRUPTION,
        "history": histories,
        "source": clean.source(),
        "spacing_mm": clean.attributes["spacing_mm"],
        "phantom": clean.attributes["phantom"],
    }


def sets_digest(store: DatasetStore, sets: Sequence[CorruptedSet], subjects: list[str]) -> str:
    """SHA-256 over the content of every corruption set.

    Raises:
        SpinforgeError: If a subject is missing in one.
    """
    return content_hash({s.group: store.within(s.group).digest(subjects) for s in sets})


def sets_in(store: DatasetStore) -> dict[str, list[str]]:
    """Corruption sets of a store that hold subjects: name -> strengths, weakest first."""
    found: dict[str, list[str]] = {}
    for name in sorted(store.location.folders("corrupt")):
        strengths = store.location.folders(f"corrupt/{name}")
        held = [s for s in strengths if CorruptedStore(store, name, s).complete_subjects()]
        if held:
            found[name] = sorted(held, key=_as_number)
    return found


def _as_number(strength: str) -> float:
    return -1.0 if strength == FIXED else float(strength)


def _content(store: DatasetStore, subject: str) -> str:
    return str((store.subject_attributes(subject) or {})["content_sha256"])
