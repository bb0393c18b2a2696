"""Every product there is: the settings a study may choose from, and who makes them."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from spinforge.datasets.products.crdn_brainweb import CrdnBrainWeb, SimulatedBrainWebMaker
from spinforge.datasets.products.hvsmr import HVSMRLike
from spinforge.datasets.products.infant import InfantMaker
from spinforge.datasets.products.infant_settings import InfantBric, InfantIbis
from spinforge.datasets.products.iseg import ISeg
from spinforge.datasets.products.isic import ISICLike
from spinforge.datasets.products.kspace import KSpaceMaker
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.mrbrains import MRBrainSLike
from spinforge.datasets.products.product import Maker
from spinforge.datasets.products.spleen import SpleenLike
from spinforge.datasets.products.volumes import VolumeMaker, VolumeProduct
from spinforge.simulation.errors import SpinforgeError


def _product_name(value: Any) -> str:
    """Which product is meant; studies that do not say are about k-space."""
    name = value.get("product") if isinstance(value, dict) else getattr(value, "product", None)
    return "seranet" if name is None else str(name)


Product = Annotated[
    Annotated[KSpaceProduct, Tag("seranet")]
    | Annotated[CrdnBrainWeb, Tag("crdn_brainweb")]
    | Annotated[MRBrainSLike, Tag("mrbrains_like")]
    | Annotated[HVSMRLike, Tag("hvsmr_like")]
    | Annotated[ISeg, Tag("iseg")]
    | Annotated[ISICLike, Tag("isic_like")]
    | Annotated[SpleenLike, Tag("spleen_like")]
    | Annotated[InfantBric, Tag("infant_bric")]
    | Annotated[InfantIbis, Tag("infant_ibis")],
    Discriminator(_product_name),
]
"""Settings of any product, told apart by `product`."""


def kspace_product(product: Product) -> KSpaceProduct:
    """The product as a k-space set, the kind that is drawn step by step.

    Raises:
        SpinforgeError: If it is another one.
    """
    if isinstance(product, KSpaceProduct):
        return product
    raise SpinforgeError(
        f"data.product = {product.product}: inspect draws the scan of k-space sets only (product "
        f"seranet). Of other sets it shows what training sees: spinforge inspect --training"
    )


def maker_of(product: Product) -> Maker:
    """Who makes a product."""
    match product:
        case KSpaceProduct():
            return KSpaceMaker(product)
        case CrdnBrainWeb(images="simulated"):
            return SimulatedBrainWebMaker(product)
        case InfantBric() | InfantIbis():
            return InfantMaker(product)
        case VolumeProduct():
            return VolumeMaker(product)
