"""Which slices the networks of a study learn from and are judged by, whatever its product."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb
from spinforge.datasets.products.infant_settings import InfantProduct
from spinforge.datasets.products.isic import ISICLike
from spinforge.datasets.products.kspace import check_split
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import split_of
from spinforge.datasets.products.mrbrains import MRBrainSLike
from spinforge.datasets.products.slice_index import INDEX, read_slice_index
from spinforge.datasets.products.spleen import SpleenLike
from spinforge.datasets.reading.image_slices import ImageSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices, slices_fingerprint
from spinforge.datasets.reading.longitudinal import LongitudinalSlices
from spinforge.datasets.reading.slice_format import COMPLEX_CHANNELS
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.augmentation.augmenter import require_augmentable
from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.inference import network_input
from spinforge.models.networks import (
    KSpaceNetwork,
    NetworkConfig,
    SequenceNetwork,
    output_classes,
    weightless_network,
)
from spinforge.models.training.fresh import check_fresh
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.sources import open_slices
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES

Group = Literal["train", "validation", "test"]

StudySlices = ZeroFilledSlices | ImageSlices | LongitudinalSlices


def channels_and_classes(product: Product) -> tuple[int, int]:
    """Channels of a product's images and classes of its labels, the background included.

    Of k-space sets the image's real and imaginary part.
    """
    match product:
        case KSpaceProduct():
            return len(COMPLEX_CHANNELS), len(TARGET_NAMES)
        case InfantProduct():
            return LongitudinalSlices.n_channels, LongitudinalSlices.n_classes
        case _:
            return len(product.references) + product.has_grey_channel, len(product.classes)


def open_group(
    product: Product,
    path: Path | str,
    group: Group,
    *,
    seed: int,
    fresh_noise: bool = False,
    variant: str | None = None,
) -> StudySlices:
    """The slices of one group of a set.

    Of k-space sets, training slices have fresh masks each epoch, the others their stored ones. Of
    infants, every subject trains at some ages and is tested at others, with the labels that the
    simulator knows; nothing validates, and the test ages stand in for it (`check_trainable` sees to
    it that nothing is chosen by them). The brain sets of CRDN's paper are shown without skull.

    Args:
        product: What the set is.
        path: Where it lies.
        group: Which slices.
        seed: Seed of the fresh masks.
        fresh_noise: Whether training slices of a k-space set also have fresh noise each epoch.
        variant: Group of a corruption set, such as "corrupt/noise/3", whose images are shown
            instead of the clean ones.

    Raises:
        SpinforgeError: If the set, a subject, the group or the variant is missing.
    """
    split = split_of(product)
    match product:
        case KSpaceProduct():
            subjects: tuple[str, ...] = getattr(split, group)
            masks: Literal["fresh", "fixed"] = "fresh" if group == "train" else "fixed"
            seed = seed if group == "train" else 0
            return open_slices(
                path,
                subjects,
                sampling=product.sampling,
                masks=masks,
                seed=seed,
                noise="fresh" if fresh_noise and group == "train" else "stored",
                variant=variant,
            )
        case InfantProduct():
            if group == "train":
                return LongitudinalSlices(
                    path, split.train, ages_months=product.train_ages_months, variant=variant
                )
            return LongitudinalSlices(
                path,
                split.test,
                ages_months=product.test_ages_months,
                labels="truth",
                variant=variant,
            )
        case _:
            brain_only = isinstance(product, CrdnBrainWeb | MRBrainSLike)
            return ImageSlices(path, group, brain_only=brain_only, variant=variant)


def showing(slices: StudySlices, network: NetworkConfig) -> StudySlices:
    """The same slices as a network reads them: of a k-space set images, or measurements."""
    if not isinstance(slices, ZeroFilledSlices):
        return slices
    return slices.showing("measurement" if isinstance(network, KSpaceNetwork) else "image")


def check_fits(slices: StudySlices, networks: Iterable[NetworkConfig]) -> None:
    """Find networks that cannot read the slices, before the first one is trained.

    Raises:
        SpinforgeError: For the first that cannot: the slices are too small, or an extra is missing.
    """
    for network in networks:
        item = showing(slices, network)[0]
        names = ("image", "kspace", "mask", "sensitivities")
        batch = {name: item[name][None].to("meta") for name in names if name in item}
        try:
            built = weightless_network(
                network,
                in_channels=slices.n_channels,
                n_classes=output_classes(network, slices.n_classes),
            )
            built.eval()(network_input(network, batch))
        except SpinforgeError as error:
            raise SpinforgeError(f"network {network.name!r}: {error}") from None


def group_fingerprint(
    product: Product, store: DatasetStore, group: Group, *, seed: int, variant: str | None = None
) -> str:
    """Hash of what `open_group` would show; reads no image.

    Raises:
        SpinforgeError: If a subject is missing, in the set or in the variant.
    """
    clean = _clean_fingerprint(product, store, group, seed=seed)
    if variant is None:
        return clean
    subjects = list(subjects_of(product, store, group))
    return content_hash({"clean": clean, "corrupted": store.within(variant).digest(subjects)})


def subjects_of(product: Product, store: DatasetStore, group: Group) -> tuple[str, ...]:
    """Subjects that a group of a set has slices of."""
    split = split_of(product)
    if isinstance(product, KSpaceProduct):
        return tuple(getattr(split, group))
    if isinstance(product, InfantProduct):
        return split.train if group == "train" else split.test
    table = read_slice_index(store)
    return tuple(sorted({str(s) for s in table.loc[table["split"] == group, "subject"]}))


def _clean_fingerprint(product: Product, store: DatasetStore, group: Group, *, seed: int) -> str:
    split = split_of(product)
    if isinstance(product, KSpaceProduct):
        return slices_fingerprint(
            store,
            getattr(split, group),
            sampling=product.sampling,
            masks="fresh" if group == "train" else "fixed",
            seed=seed if group == "train" else 0,
        )
    table = store.location.read(INDEX)
    return content_hash(
        {
            "digest": store.digest(list(split.everyone)),
            "group": group,
            "slices": None if table is None else content_hash({"table": table.hex()}),
            "ages": product.train_ages_months if isinstance(product, InfantProduct) else None,
        }
    )


def check_trainable(
    product: Product, networks: tuple[NetworkConfig, ...], recipe: TrainingConfig
) -> None:
    """Find networks and recipes that do not fit a product; needs no file.

    Raises:
        SpinforgeError: For the first one.
    """
    if isinstance(product, KSpaceProduct):
        check_split(product)
        check_fresh(product, recipe)
    elif recipe.fresh != "masks":
        raise SpinforgeError(
            f"training.fresh = {recipe.fresh}: data.product = {product.product} has finished "
            f"images, of which only product seranet, a set of k-space, can be scanned anew; leave "
            f"it out"
        )
    _check_augmentation(product, recipe.augmentation)
    for network in networks:
        where = f"networks: {network.name} ({network.kind})"
        require_augmentable(
            recipe.augmentation, gives_images=not isinstance(network, KSpaceNetwork)
        )
        if isinstance(network, KSpaceNetwork) and not isinstance(product, KSpaceProduct):
            raise SpinforgeError(
                f"{where} starts from k-space, and data.product = {product.product} has images "
                f"only. Train it on product seranet, or choose a network of images"
            )
        if isinstance(network, SequenceNetwork) and not isinstance(product, InfantProduct):
            raise SpinforgeError(
                f"{where} reads sequences of images, and data.product = {product.product} has "
                f"none. Train it on infant_bric or infant_ibis, or choose a network of images"
            )
    if isinstance(product, CrdnBrainWeb | MRBrainSLike):
        if product.slices.split != "subjects" and not product.slices.validation:
            raise SpinforgeError(
                "data.slices.validation = 0: a training needs slices to be judged by; 0.1 is usual"
            )
    if isinstance(product, InfantProduct) and (recipe.keep == "best" or recipe.patience):
        raise SpinforgeError(
            f"data.product = {product.product} has no validation slices to choose an epoch by. Set "
            f"training.keep to last, leave out training.patience, or take training.recipe fcslstm"
        )


def _check_augmentation(product: Product, augmentation: Augmentation) -> None:
    """Refuse an MR scanner's part where there was none."""
    if augmentation.is_physical and isinstance(product, ISICLike | SpleenLike):
        kind = "photographs" if isinstance(product, ISICLike) else "CT"
        raise SpinforgeError(
            f"{augmentation.named(physical=True)}: data.product = {product.product} is {kind}, "
            f"which no MR scanner has made; leave them out"
        )
