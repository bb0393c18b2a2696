"""Our MATLAB reader against scipy's, and against files that mean harm."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from spinforge.datasets.brainweb.mat import read_mat_array
from spinforge.simulation.errors import SpinforgeError

TYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
HEADER = b"MATLAB 5.0 MAT-file".ljust(124)


def read(path, name="BRAIN"):
    return read_mat_array(path, name, largest=2**20)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.mat"


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(shape, values: np.ndarray, order: str = "<", kind: int = 2) -> bytes:
    """A matrix of class double, stored as bytes: as MATLAB shrinks doubles that are small."""
    return element(
        14,
        element(6, struct.pack(f"{order}II", 6, 0), order)
        + element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
        + element(1, b"BRAIN", order)
        + element(kind, values.tobytes(), order),
        order,
    )


def mat_file(*elements: bytes, order: str = "<") -> bytes:
    return HEADER + struct.pack(f"{order}HH", 0x0100, 0x4D49) + b"".join(elements)


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return struct.pack("<II", 15, len(packed)) + packed


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_arrays_are_those_scipy_reads(path, dtype, compress):
    array = np.random.default_rng(0).integers(0, 12, (3, 4, 5)).astype(dtype)
    others = {"before": {"a": [1, "x"]}, "BRAIN": array, "z": np.array(["text"], dtype=object)}
    savemat(path, others, do_compression=compress)
    np.testing.assert_array_equal(read(path), array)
    np.testing.assert_array_equal(read(path), loadmat(path)["BRAIN"])


@pytest.mark.parametrize("order", "<>")
def test_shrunk_doubles_of_either_byte_order(path, order):
    values = np.arange(6, dtype=np.uint8)
    path.write_bytes(mat_file(matrix((2, 3), values, order), order=order))
    np.testing.assert_array_equal(read(path), [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(read(path), loadmat(path)["BRAIN"])


def test_a_missing_variable_is_named(path):
    savemat(path, {"T1": np.ones(3), "T2": np.ones(3)})
    with pytest.raises(SpinforgeError, match="has no numeric array 'BRAIN'; it holds T1, T2"):
        read(path)


@pytest.mark.parametrize("value", [np.ones(3) * 1j, {"a": 1}, "text"], ids=["complex", "s", "t"])
def test_a_variable_that_is_not_real_numbers_is_refused(path, value):
    savemat(path, {"BRAIN": value})
    with pytest.raises(SpinforgeError, match="has no numeric array 'BRAIN'"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"MATLAB 7.3 MAT-file".ljust(126) + b"IM", b"\x89HDF" + bytes(200), bytes(300)],
    ids=["empty", "7.3", "hdf", "4"],
)
def test_other_versions_are_named(path, content):
    path.write_bytes(content)
    with pytest.raises(SpinforgeError, match=r"model.mat is no MATLAB 5 file"):
        read(path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.45, 0.6, 0.9])
def test_truncated_files_are_named(path, compress, kept):
    savemat(path, {"BRAIN": np.random.default_rng(0).random(20)}, do_compression=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SpinforgeError, match=r"model.mat is truncated or damaged"):
        read(path)


def test_a_wrong_byte_order_is_named(path):
    values = np.arange(6, dtype=np.uint8)
    path.write_bytes(mat_file(matrix((2, 3), values, "<"), order=">"))
    with pytest.raises(SpinforgeError, match=r"model.mat is truncated or damaged"):
        read(path)


def test_a_shape_larger_than_the_data_is_refused(path):
    path.write_bytes(mat_file(matrix((2**20, 2**20), np.zeros(6, dtype=np.uint8))))
    with pytest.raises(SpinforgeError, match=r"claims the shape \(1048576, 1048576\)"):
        read(path)


def test_unknown_types_are_refused(path):
    path.write_bytes(mat_file(matrix((2, 3), np.zeros(6, dtype=np.uint8), kind=99)))
    with pytest.raises(SpinforgeError, match="stored as the unknown type 99"):
        read(path)


def test_a_compressed_bomb_is_refused_without_unpacking_it(path):
    path.write_bytes(mat_file(compressed(bytes(100 * 2**20))))
    tracemalloc.start()
    with pytest.raises(SpinforgeError, match="compressed elements hold more than 1048576 bytes"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_many_compressed_bombs_are_one_too_many(path):
    """Each within the limit, together far above it: the sum is what counts."""
    path.write_bytes(mat_file(*[compressed(element(99, bytes(2**19)))] * 100))
    with pytest.raises(SpinforgeError, match="compressed elements hold more than"):
        read(path)


def test_cells_nested_without_end_are_not_followed(path):
    """A recursive reader would end the process."""
    cell = b""
    for _ in range(20_000):
        cell = struct.pack("<II", 14, len(cell)) + cell
        if len(cell) > 400_000:
            break
    path.write_bytes(mat_file(element(14, element(6, struct.pack("<II", 1, 0)) + cell)))
    with pytest.raises(SpinforgeError, match=r"has no numeric array|truncated or damaged"):
        read(path)


def test_very_many_elements_are_refused(path):
    path.write_bytes(mat_file(element(99, b"") * 20_000))
    with pytest.raises(SpinforgeError, match="more than 10000 elements"):
        read(path)
