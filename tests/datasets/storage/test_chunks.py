"""How the bytes lie never changes which they are, and other readers can open them."""

import warnings

import numpy as np
import pytest
from small_sets import CONFIG, small_arrays, small_set

from spinforge.datasets.storage.arrays import StoredArray, check_arrays
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_store

SLICES = 14  # not a multiple of 4 or 8: the last chunk is partly empty


@pytest.fixture
def store(tmp_path) -> DatasetStore:
    store = DatasetStore(tmp_path / "set.zarr")
    store.create(CONFIG)
    return store


@pytest.mark.parametrize("slices_per_chunk", [1, 4, 8, SLICES, 1000])
def test_chunks_change_neither_values_nor_digests(store, slices_per_chunk):
    wanted = store.write_subject("a", small_arrays(), {})
    digest = store.write_subject("b", small_arrays(), {}, slices_per_chunk=slices_per_chunk)
    assert digest == wanted
    assert store.subject_attributes("a")["sha256"] == store.subject_attributes("b")["sha256"]
    for name, array in small_arrays().items():
        np.testing.assert_array_equal(store.read("b", name), array.values)
    store.write_manifest()
    assert verify_store(store.path) == []


@pytest.mark.parametrize("slices_per_chunk", [1, 4, 8, SLICES])
def test_a_subject_is_one_shard_of_whole_chunks(store, slices_per_chunk):
    store.write_subject("a", small_arrays(), {}, slices_per_chunk=slices_per_chunk)
    full = store.open_subject("a")["full"]
    assert full.chunks == (slices_per_chunk, 1, 5, 6)
    assert full.shards[0] >= SLICES
    assert full.shards[0] % slices_per_chunk == 0
    files = [p for p in (store.subject_path("a") / "full/c").rglob("*") if p.is_file()]
    assert len(files) == 1


def test_a_product_chooses_the_chunks_of_each_array(store):
    arrays = small_arrays()
    arrays["t1"] = StoredArray(arrays["t1"].values, arrays["t1"].dimensions, slices_per_chunk=7)
    store.write_subject("a", arrays, {})
    group = store.open_subject("a")
    assert group["t1"].chunks == (7, 5, 6)
    assert group["full"].chunks == (1, 1, 5, 6)
    assert group["te"].chunks == (SLICES,)


def test_a_chunk_holds_at_least_one_slice(store):
    with pytest.raises(ValueError, match="at least one slice, got 0"):
        store.write_subject("a", small_arrays(), {}, slices_per_chunk=0)
    assert store.complete_subjects() == []


def test_the_same_bytes_whatever_was_written_before(tmp_path):
    """Two sets that are made alike are the same files, but for nothing."""
    one, two = small_set(tmp_path / "one.zarr"), small_set(tmp_path / "two.zarr")
    for name in one.location.files(""):
        assert one.location.read(name) == two.location.read(name), name


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (("slice", "ky"), r"array 'x': axes \(14, 5, 6\), but names \('slice', 'ky'\)"),
        (("slice", "ky", "ky"), "axis 'ky' has length 5 in array 'full' and 6 in 'x'"),
        (("coil", "ky", "kx"), "axis 'coil' has length 1 in array 'full' and 14 in 'x'"),
    ],
    ids=str,
)
def test_axes_that_no_reader_could_align_are_refused(dimensions, message):
    arrays = small_arrays()
    arrays["x"] = StoredArray(arrays["t1"].values, dimensions)
    with pytest.raises(ValueError, match=message):
        check_arrays(arrays)


@pytest.mark.parametrize("slices_per_chunk", [1, 8])
def test_xarray_opens_a_subject_without_a_word(store, slices_per_chunk):
    xarray = pytest.importorskip("xarray")
    store.write_subject("a", small_arrays(), {"subject": "a"}, slices_per_chunk=slices_per_chunk)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subject = xarray.open_zarr(store.subject_path("a"), consolidated=False, chunks=None)
        tree = xarray.open_datatree(
            store.subject_path("a"), engine="zarr", consolidated=False, chunks=None
        )
    assert dict(subject.sizes) == {"slice": SLICES, "coil": 1, "ky": 5, "kx": 6}
    assert subject.attrs["subject"] == "a"
    for name, array in small_arrays().items():
        found = tree[name]
        assert found.dims == array.dimensions
        assert found.dtype == array.values.dtype
        np.testing.assert_array_equal(found.values, array.values)


@pytest.mark.filterwarnings("ignore:Object at manifest.json is not recognized")  # it is ours
def test_xarray_opens_a_whole_set_as_a_tree(tmp_path):
    xarray = pytest.importorskip("xarray")
    path = small_set(tmp_path / "set.zarr").path
    tree = xarray.open_datatree(path, engine="zarr", consolidated=False, chunks=None)
    assert tree["kspace/a/full"].dtype == np.complex64
    assert tree["corrupt/noise/3/a/masks/fixed"].dtype == bool


def test_a_simulated_subject_opens_in_xarray(tiny_store):
    xarray = pytest.importorskip("xarray")
    subject = xarray.open_zarr(tiny_store.subject_path("head-000"), consolidated=False, chunks=None)
    assert subject["full"].dims == ("slice", "coil", "ky", "kx")
    assert subject["coil_maps"].sizes["every_slice"] == 1
