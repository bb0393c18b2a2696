"""Every format decodes to the planted voxels, and every damage gives one clear error."""

import gzip
import struct
import time
import tracemalloc

import numpy as np
import pytest
from minc import write_minc
from scipy.io import netcdf_file

from spinforge.datasets.brainweb.files import (
    SUFFIXES,
    WebPageError,
    files_digest,
    find_volume,
    open_volume,
    read_content,
    read_volume,
)
from spinforge.simulation.errors import SpinforgeError

SHAPE = (3, 5, 4)  # z, y, x
VOXELS = 60


@pytest.fixture
def bytes_zyx() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, SHAPE).astype(np.uint8)


def write(path, voxels: np.ndarray, suffix: str) -> None:
    """Store voxels 0 to 255 in any of BrainWeb's formats."""
    if suffix.startswith(".mnc"):
        write_minc(path, voxels)
        return
    content = voxels.tobytes() if suffix.startswith(".rawb") else voxels.astype("<u2").tobytes()
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same_voxels(tmp_path, bytes_zyx, suffix):
    path = tmp_path / f"volume{suffix}"
    write(path, bytes_zyx, suffix)
    # MINC's real values are voxel * 255 / 255, in double precision.
    np.testing.assert_allclose(read_volume(path, [SHAPE]), bytes_zyx, rtol=1e-7)


def test_raw_files_store_x_fastest_then_y_then_z(tmp_path):
    path = tmp_path / "volume.rawb"
    path.write_bytes(bytes(range(VOXELS)))
    values = read_volume(path, [SHAPE])
    _, ny, nx = SHAPE
    for z, y, x in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 4, 3)]:
        assert values[z, y, x] == x + nx * (y + ny * z)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("largest", [1, 11, 177, 256, 4095], ids=str)
def test_shorts_of_either_byte_order_are_the_same(tmp_path, order, largest):
    """Below 16, wrong-order values stay below 4096: only their zero low bytes tell."""
    path = tmp_path / "volume.raws"
    values = np.linspace(0, largest, VOXELS).round().astype(int)
    path.write_bytes(values.astype(f"{order}u2").tobytes())
    np.testing.assert_array_equal(read_volume(path, [SHAPE]).ravel(), values)


def test_shorts_that_are_too_large_in_both_byte_orders_are_refused(tmp_path):
    path = tmp_path / "volume.raws"
    path.write_bytes(np.full(VOXELS, 0x1010, "u2").tobytes())
    with pytest.raises(SpinforgeError, match=r"volume.raws holds values above 4095 in either"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize("junk", [bytes(999), b"junk" * 9000, b"\x1f"], ids=["0", "text", "half"])
def test_junk_behind_a_gzip_member_is_left_out(tmp_path, bytes_zyx, junk):
    path = tmp_path / "volume.rawb.gz"
    path.write_bytes(gzip.compress(bytes_zyx.tobytes()) + junk)
    np.testing.assert_array_equal(read_volume(path, [SHAPE]), bytes_zyx)


def test_several_gzip_members_are_one_file(tmp_path, bytes_zyx):
    path = tmp_path / "volume.rawb.gz"
    content = bytes_zyx.tobytes()
    path.write_bytes(gzip.compress(content[:7]) + gzip.compress(content[7:]))
    np.testing.assert_array_equal(read_volume(path, [SHAPE]), bytes_zyx)


def test_the_best_format_is_found_first(tmp_path, bytes_zyx):
    for suffix in reversed(SUFFIXES):
        write(tmp_path / f"volume{suffix}", bytes_zyx, suffix)
        found = find_volume(tmp_path, "other", "volume")
        assert found == tmp_path / f"volume{suffix}"
    assert find_volume(tmp_path, "other") is None


def test_minc_planes_have_their_own_scale(tmp_path):
    path = tmp_path / "volume.mnc"
    voxels = np.random.default_rng(0).integers(-128, 128, SHAPE).astype(np.int8)
    tops = np.array([0.25, 1.0, 0.0])
    write_minc(path, voxels, real_max=tops)
    expected = (voxels.astype(float) + 128) / 255 * tops[:, None, None]
    np.testing.assert_allclose(read_volume(path, [SHAPE]), expected, atol=1e-7)


@pytest.mark.parametrize("lacking", [0, 4])
def test_minc_may_lack_its_last_scalar(tmp_path, bytes_zyx, lacking):
    path = tmp_path / "volume.mnc.gz"
    write_minc(path, bytes_zyx, lacking=lacking)
    np.testing.assert_allclose(read_volume(path, [SHAPE]), bytes_zyx, rtol=1e-7)


@pytest.mark.parametrize("lacking", [1, 5, 12, 20, 100, 500])
def test_minc_may_lack_nothing_else(tmp_path, bytes_zyx, lacking):
    path = tmp_path / "volume.mnc.gz"
    write_minc(path, bytes_zyx, lacking=lacking)
    with pytest.raises(SpinforgeError, match=r"volume.mnc.gz is truncated or damaged"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize(
    "change", [{"names": ("xspace", "yspace", "zspace")}, {"step": -0.5}], ids=["order", "sign"]
)
def test_minc_with_other_axes_is_refused(tmp_path, bytes_zyx, change):
    path = tmp_path / "volume.mnc"
    write_minc(path, bytes_zyx, **change)
    with pytest.raises(SpinforgeError, match="its axes are not z, y, x"):
        read_volume(path, [SHAPE])


def test_minc2_is_named(tmp_path):
    path = tmp_path / "volume.mnc.gz"
    path.write_bytes(gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(1000)))
    with pytest.raises(SpinforgeError, match=r"volume.mnc.gz is MINC2 .*mincconvert"):
        read_volume(path, [SHAPE])


def test_a_minc_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "volume.mnc"
    path.write_bytes(bytes(VOXELS))
    with pytest.raises(SpinforgeError, match=r"volume.mnc is not a MINC1 file"):
        read_volume(path, [SHAPE])


def test_minc_variables_that_all_claim_the_same_bytes_are_refused(tmp_path):
    """A small file could otherwise ask for any amount of memory."""
    path, count = tmp_path / "volume.mnc", 200
    with netcdf_file(path, "w") as file:
        file.createDimension("x", 10_000)
        variables = [file.createVariable(f"v{i}", "i1", ("x",)) for i in range(count)]
        for variable in variables:
            variable[:] = 0
        file.flush()
        positions = [variable._begin for variable in variables]
    content = bytearray(path.read_bytes())
    first = min(struct.unpack_from(">i", content, position)[0] for position in positions)
    for position in positions:
        struct.pack_into(">i", content, position, first)
    path.write_bytes(content[: first + 10_000])
    with pytest.raises(SpinforgeError, match="its variables overlap"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_web_page_instead_of_data_is_named(tmp_path, suffix, compress):
    path = tmp_path / f"volume{suffix}"
    path.write_bytes(compress(b"\n<html>no</html>"))
    with pytest.raises(WebPageError, match=f"volume{suffix} is a web page, not data"):
        read_volume(path, [SHAPE])


def test_voxels_that_begin_like_a_tag_are_data(tmp_path):
    path = tmp_path / "volume.rawb"
    path.write_bytes(b"\t<" + bytes(VOXELS - 2))
    assert read_volume(path, [SHAPE])[0, 0, 1] == ord("<")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_named(tmp_path, bytes_zyx, suffix, kept):
    path = tmp_path / f"volume{suffix}"
    write(path, bytes_zyx, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SpinforgeError, match=rf"volume{suffix} (is|holds).*[Dd]elete it"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s.endswith(".gz")])
def test_a_flipped_bit_within_gzip_is_named(tmp_path, bytes_zyx, suffix):
    path = tmp_path / f"volume{suffix}"
    write(path, bytes_zyx, suffix)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(SpinforgeError, match="is truncated or damaged"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_grid_is_named(tmp_path, suffix):
    path = tmp_path / f"volume{suffix}"
    write(path, np.ones((2, 5, 4), dtype=np.uint8), suffix)
    with pytest.raises(SpinforgeError, match=rf"volume{suffix} .*expected .*\(3, 5, 4\)"):
        open_volume(path, [SHAPE])


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s.endswith(".gz")])
def test_a_gzip_bomb_is_refused_without_unpacking_it(tmp_path, suffix):
    path = tmp_path / f"volume{suffix}"
    path.write_bytes(gzip.compress(bytes(100 * 2**20), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(SpinforgeError, match=r"more than \d+ bytes after decompression"):
        read_volume(path, [SHAPE])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A MINC header may have 16 MiB, which may stand in the list and in the decompressor's hands.
    assert peak < (40 * 2**20 if suffix == ".mnc.gz" else 2**20)


def test_a_huge_file_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "volume.rawb"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(SpinforgeError, match="more than 60 bytes"):
        read_volume(path, [SHAPE])


def test_many_empty_gzip_members_take_no_time(tmp_path):
    path = tmp_path / "volume.rawb.gz"
    path.write_bytes(gzip.compress(b"") * 50_000)  # 1 MB; a quadratic reader takes minutes
    start = time.process_time()
    with pytest.raises(SpinforgeError, match="more than 10000 gzip members"):
        read_content(path, largest=2**20)
    assert time.process_time() - start < 5


def test_a_minc_header_of_very_many_entries_is_refused(tmp_path):
    """A dimension is three fields; the file claims a hundred thousand of them."""
    path, count = tmp_path / "volume.mnc", 100_000
    dimension = struct.pack(">i4si", 1, b"x", 1)
    path.write_bytes(b"CDF\x01" + struct.pack(">iii", 0, 10, count) + dimension * count)
    with pytest.raises(SpinforgeError, match="its header has too many entries"):
        read_volume(path, [SHAPE])


@pytest.mark.parametrize("make", ["missing", "folder"])
def test_what_cannot_be_read_is_named(tmp_path, make):
    path = tmp_path / "volume.rawb"
    if make == "folder":
        path.mkdir()
    with pytest.raises(SpinforgeError, match=r"volume.rawb cannot be read"):
        read_content(path, largest=2**20)


def test_unknown_formats_are_named(tmp_path):
    with pytest.raises(SpinforgeError, match=r"volume.nii: unknown format. Use one of .mnc.gz"):
        read_volume(tmp_path / "volume.nii", [SHAPE])


def test_digest_is_that_of_the_bytes_one_after_the_other(tmp_path):
    (tmp_path / "a").write_bytes(b"ab")
    (tmp_path / "b").write_bytes(b"c")
    # SHA-256 of "abc", FIPS 180-2, appendix B.1.
    assert files_digest([tmp_path / "a", tmp_path / "b"]) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
