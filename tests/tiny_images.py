"""Sets of images small enough to be made within seconds, one of each product."""

from pathlib import Path

from spinforge.datasets.products.brain_slices import BrainSlices
from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb
from spinforge.datasets.products.hvsmr import HVSMRLike, HVSMRSlices, HVSMRSubjects
from spinforge.datasets.products.isic import ISICLike, ISICSubjects
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.products.mrbrains import MRBrainSLike, MRBrainSSlices, MRBrainSSubjects
from spinforge.datasets.products.spleen import SpleenLike, SpleenSlices, SpleenSubjects
from spinforge.datasets.storage.store import DatasetStore

ONE_EACH = {"train": 1, "validation": 1, "test": 1}

TINY: dict[str, Product] = {
    "crdn_brainweb": CrdnBrainWeb(
        product="crdn_brainweb", spacing_mm=4, slices=BrainSlices(count=100)
    ),
    "mrbrains_like": MRBrainSLike(
        product="mrbrains_like",
        spacing_mm=3.0,
        subjects=MRBrainSSubjects(train=1),
        slices=MRBrainSSlices(count=30),
    ),
    "hvsmr_like": HVSMRLike(
        product="hvsmr_like",
        spacing_mm=4,
        subjects=HVSMRSubjects(**ONE_EACH),
        slices=HVSMRSlices(train=200, test=100),
    ),
    "isic_like": ISICLike(
        product="isic_like", height=16, width=24, batch=3, subjects=ISICSubjects(**ONE_EACH)
    ),
    "spleen_like": SpleenLike(
        product="spleen_like",
        size=64,
        subjects=SpleenSubjects(train=1, validation=0, test=0),
        slices=SpleenSlices(train=30),
    ),
}


def generated(product: Product, path: Path) -> DatasetStore:
    """Every subject of a product, and the slice index, as `spinforge generate` makes them."""
    maker = maker_of(product)
    store = DatasetStore(path, maker.group)
    store.create(product.recipe())
    for subject in maker.split().everyone:
        make_subject(product, subject, store)
    maker.finish(store)
    return store
