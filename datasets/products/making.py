"""Making the subjects of a product: what there is to make, what is done, one at a time."""

import torch

from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.product import provenance
from spinforge.datasets.products.slice_index import check_slice_settings
from spinforge.datasets.products.volumes import VolumeProduct
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError


def split_of(product: Product) -> Split:
    """Names of the training, validation and test subjects.

    Raises:
        SpinforgeError: If there are too few, or one is named that is not there.
    """
    return maker_of(product).split()


def is_done(product: Product, store: DatasetStore, subject: str) -> bool:
    """Whether `subject` is complete in the store, from the same configuration and source.

    Raises:
        SpinforgeError: If it is there but was made from something else.
    """
    attributes = store.subject_attributes(subject)
    if attributes is None:
        return False
    found = (attributes["config_hash"], attributes["phantom"]["sha256"])
    wanted = (product.config_hash, maker_of(product).source_digest(subject))
    if found != wanted:
        raise SpinforgeError(
            f"{store.subject_path(subject)} was made from another configuration or phantom.\n"
            f"  its hashes: {found[0]} (config), {found[1]} (phantom)\n"
            f"  this study: {wanted[0]} (config), {wanted[1]} (phantom)\n"
            f"A model file that was compressed again has another hash, though no voxel changed: "
            f"put the old file back. Else use another name or out folder, or replace the set "
            f"with: spinforge generate STUDY.yaml --overwrite"
        )
    return True


def check_slices(product: Product, store: DatasetStore) -> None:
    """Check that a set's slice table, if it has one, is that of this product.

    Raises:
        SpinforgeError: If it is another study's, which making the set would replace.
    """
    if isinstance(product, VolumeProduct):
        check_slice_settings(store, product.slice_settings(), split_of(product))


def make_subject(product: Product, subject: str, store: DatasetStore) -> str:
    """Make one subject and store it; do nothing if it is complete already.

    Runs on one thread: FFT and matrix libraries may round differently with several, and the
    parallelism is over subjects anyway.

    Returns:
        SHA-256 of the subject's arrays.
    """
    if is_done(product, store, subject):
        attributes = store.subject_attributes(subject)
        assert attributes is not None
        return str(attributes["content_sha256"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = maker_of(product).make(subject)
    finally:
        torch.set_num_threads(threads)
    return store.write_subject(subject, made.arrays, provenance(product, subject) | made.provenance)
