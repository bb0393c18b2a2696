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

    Where the folder of a product's files is gone, those that the study names: a finished set needs
    the files no more, such as on the machine that a packed study was carried to.

    Raises:
        SpinforgeError: If there are too few, or one is named that is not there.
    """
    subjects = getattr(product, "subjects", None)
    if subjects is not None and _files_are_gone(product):
        groups = {name: () if group == 0 else group for name, group in subjects}
        if all(isinstance(group, tuple) for group in groups.values()):
            return Split.model_validate(groups)
    return maker_of(product).split()


def with_names(product: Product) -> Product:
    """The product with its subjects by name, where the study may name them.

    Numbers depend on which files there are.
    """
    subjects = getattr(product, "subjects", None)
    if subjects is None:
        return product
    named = type(subjects).model_validate(split_of(product).model_dump())
    return product.model_copy(update={"subjects": named})


def _files_are_gone(product: Product) -> bool:
    """Whether a product is made from files whose folder is not there."""
    path = getattr(product, "path", None)
    return path is not None and not path.exists()


def is_done(product: Product, store: DatasetStore, subject: str) -> bool:
    """Whether `subject` is complete in the store, from the same configuration and source.

    The source cannot be compared where its files are gone.

    Raises:
        SpinforgeError: If it is there but was made from something else.
    """
    attributes = store.subject_attributes(subject)
    if attributes is None:
        return False
    found = (attributes["config_hash"], attributes["phantom"]["sha256"])
    source = found[1] if _files_are_gone(product) else maker_of(product).source_digest(subject)
    wanted = (product.config_hash, source)
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
