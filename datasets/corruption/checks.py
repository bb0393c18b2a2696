"""What is found before a corruption set is made: chains that do not go with a product, old sets."""

from spinforge.datasets.corruption.sets import clean_subject, is_done
from spinforge.datasets.corruption.settings import CorruptedSet, Corruptions
from spinforge.datasets.corruption.sources import CleanSubject, Rescanner
from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.product import Maker
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.corruption.corrupt import KINDS, corrupt_scan
from spinforge.simulation.corruption.intensity import NonUniformity
from spinforge.simulation.errors import SpinforgeError


def available_kinds(product: Product, corruptions: Corruptions) -> tuple[str, ...]:
    """Corruptions that go with a product, in the order of `KINDS`: what the preset `all` means.

    Needs no data. What cannot be scanned again, or has a scanner that would not show it, is left
    out; everything else goes with every image and every k-space.
    """
    maker = maker_of(product)

    def goes(kind: str) -> bool:
        one = Corruptions.model_validate({"sets": [kind], "levels": corruptions.levels})
        try:
            for chosen in one.at_strengths(()):
                _check_chain(maker, chosen, "any")
        except SpinforgeError:
            return False
        return True

    return tuple(kind for kind in KINDS if goes(kind))


def chosen_sets(product: Product, corruptions: Corruptions) -> list[CorruptedSet]:
    """Every corruption set of a study.

    Raises:
        SpinforgeError: If there is none.
    """
    sets = corruptions.at_strengths(available_kinds(product, corruptions))
    if not sets:
        raise SpinforgeError(
            "the study says no corruptions. Add them to the file, or: --set corruptions=all"
        )
    return sets


def check_sets(
    product: Product, store: DatasetStore, corruptions: Corruptions, *, overwrite: bool = False
) -> None:
    """Find every bad input that would stop the work; reads no image and writes nothing.

    Args:
        product: Of the clean set.
        store: The set, seen as its clean subjects, which are complete.
        corruptions: What to make of it.
        overwrite: Sets that were made from something else will be replaced.

    Raises:
        SpinforgeError: For the first bad input, and what to do about it.
    """
    check_chains(product, corruptions)
    maker = maker_of(product)
    sets = chosen_sets(product, corruptions)
    for subject in corruptions.chosen_subjects(maker.split()):
        clean = clean_subject(maker, store, subject)
        for chosen in sets:
            _check_fields(clean, chosen)
            if not overwrite:
                is_done(store, subject, chosen)


def check_chains(product: Product, corruptions: Corruptions) -> None:
    """Find chains that do not go with a product; needs no data.

    Raises:
        SpinforgeError: For the first one, or if the study says none.
    """
    maker = maker_of(product)
    sets = chosen_sets(product, corruptions)
    for subject in corruptions.chosen_subjects(maker.split()):
        for chosen in sets:
            _check_chain(maker, chosen, subject)


def expected_bytes(
    product: Product, store: DatasetStore, subject: str, sets: list[CorruptedSet]
) -> int:
    """Upper bound of what the missing ones of a subject's corruption sets take on disk."""
    missing = [s for s in sets if store.within(s.group).subject_attributes(subject) is None]
    return len(missing) * clean_subject(maker_of(product), store, subject).nbytes()


def _check_chain(maker: Maker, chosen: CorruptedSet, subject: str) -> None:
    """Raise SpinforgeError if a chain scans again what cannot be, or shows nothing then."""
    where = f"corruptions, set {chosen.name}"
    if not chosen.needs_phantom:
        return
    if not isinstance(maker, Rescanner):
        raise SpinforgeError(
            f"{where}: {chosen.rescans[0].kind} simulates the scan again, but the images of this "
            f"product are not simulated from a phantom and a sequence. Leave it out."
        )
    for contrast, (sequence, scanner) in maker.clean_scans().items():
        path = chosen.path(subject, contrast)
        try:
            corrupt_scan(
                sequence, scanner, chosen.rescans, path, couple_levels=chosen.couple_levels
            )
        except SpinforgeError as error:
            raise SpinforgeError(f"{where}: {error}") from error


def _check_fields(clean: CleanSubject, chosen: CorruptedSet) -> None:
    """Raise SpinforgeError if BrainWeb's field is asked for of a contrast that has none."""
    for corruption in chosen.chain:
        if isinstance(corruption, NonUniformity) and not corruption.is_nothing:
            for contrast in clean.contrasts:
                corruption.shape_for(clean.known_as(contrast))
