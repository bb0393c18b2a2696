"""ISMRMRD and fastMRI files: the bytes come back, and other readers find what they look for."""

from xml.etree import ElementTree

import h5py
import ismrmrd
import numpy as np
import pytest
from tiny_kspace import TINY

from spinforge.datasets.export.fastmri_file import read_fastmri, write_fastmri
from spinforge.datasets.export.ismrmrd_file import read_ismrmrd, write_ismrmrd
from spinforge.datasets.export.raw_scan import load_raw_scan
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.scanner import Scanner

NAMESPACE = {"m": "http://www.ismrm.org/ISMRMRD"}


@pytest.fixture(scope="module")
def coils_store(tmp_path_factory) -> DatasetStore:
    """Three coils, uneven read-out, imperfect timing."""
    product = TINY.model_copy(update={"scanner": Scanner(profile="seranet", coils=3)})
    store = DatasetStore(tmp_path_factory.mktemp("coils") / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "head-000", store)
    return store


@pytest.mark.parametrize("mask", ["all", "fixed"])
def test_ismrmrd_returns_the_same_bytes(coils_store, tmp_path, mask):
    scan = load_raw_scan(coils_store, "head-000", mask)
    write_ismrmrd(scan, tmp_path / "a.h5")
    kspace, lines, _ = read_ismrmrd(tmp_path / "a.h5")
    full = coils_store.read("head-000", "full")
    stored = coils_store.read("head-000", "masks/fixed")
    wanted = np.ones_like(stored) if mask == "all" else stored
    assert np.array_equal(lines, wanted)
    kept = np.nonzero(wanted)
    assert kspace.swapaxes(1, 2)[kept].tobytes() == full.swapaxes(1, 2)[kept].tobytes()
    assert not kspace.swapaxes(1, 2)[~wanted].any()


def test_ismrmrds_own_reader_finds_lines_flags_and_header(coils_store, tmp_path):
    scan = load_raw_scan(coils_store, "head-000", "fixed")
    write_ismrmrd(scan, tmp_path / "a.h5")
    with ismrmrd.Dataset(str(tmp_path / "a.h5"), create_if_needed=False, mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
        lines = [file.read_acquisition(i) for i in range(file.number_of_acquisitions())]
    mask = coils_store.read("head-000", "masks/fixed")
    assert len(lines) == mask.sum()  # nothing but what was acquired
    assert {line.active_channels for line in lines} == {3}
    assert lines[0].isChannelActive(2)
    assert not lines[0].isChannelActive(3)
    assert {line.center_sample for line in lines} == {27}
    for number in (0, 13):
        of_slice = [line for line in lines if line.idx.slice == number]
        steps = [line.idx.kspace_encode_step_1 for line in of_slice]
        assert steps == np.nonzero(mask[number])[0].tolist()
        first = [line.isFlagSet(ismrmrd.ACQ_FIRST_IN_SLICE) for line in of_slice]
        last = [line.isFlagSet(ismrmrd.ACQ_LAST_IN_SLICE) for line in of_slice]
        centre = [line.isFlagSet(ismrmrd.ACQ_USER1) for line in of_slice]
        assert first == [True] + [False] * (len(first) - 1)
        assert last == [False] * (len(last) - 1) + [True]
        assert centre == [step == 22 for step in steps]
    assert lines[-1].isFlagSet(ismrmrd.ACQ_LAST_IN_MEASUREMENT)

    encoding, sequence = header.encoding[0], header.sequenceParameters
    size, view = encoding.encodedSpace.matrixSize, encoding.encodedSpace.fieldOfView_mm
    assert (size.x, size.y, size.z) == (54, 45, 1)
    assert (view.x, view.y, view.z) == (216, 180, 12)
    limit = encoding.encodingLimits.kspace_encoding_step_1
    assert (limit.minimum, limit.maximum, limit.center) == (0, 44, 22)
    assert encoding.trajectory == ismrmrd.xsd.trajectoryType.CARTESIAN
    assert sequence.TR[0] == pytest.approx(1e3 * coils_store.read("head-000", "tr")[0])
    assert sequence.TE[0] == pytest.approx(1e3 * coils_store.read("head-000", "te")[0])
    assert sequence.flipAngle_deg == [90]
    assert header.acquisitionSystemInformation.receiverChannels == 3
    doubles = {p.name: p.value for p in header.userParameters.userParameterDouble}
    texts = {p.name: p.value for p in header.userParameters.userParameterString}
    # The array is float32.
    sigma = coils_store.read("head-000", "noise_sigma")[0]
    assert doubles["sigma"] == pytest.approx(float(sigma), rel=1e-7)
    assert texts["mask_id"] == "fixed"


def test_positions_and_directions_are_those_of_the_patient(coils_store, tmp_path):
    """Hand-computed: corner (-90.5, -126.5, -72.5) mm, voxels of 4 x 4 x 12 mm, x and y turned."""
    write_ismrmrd(load_raw_scan(coils_store, "head-000"), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        heads = file["dataset/data"][...]["head"]
    head = heads[heads["idx"]["slice"] == 2][0]
    assert head["position"].tolist() == [90.5 - 22.5 * 4, 126.5 - 27.5 * 4, -72.5 + 2.5 * 12]
    assert head["read_dir"].tolist() == [0, -1, 0]  # towards anterior
    assert head["phase_dir"].tolist() == [-1, 0, 0]  # towards the right
    assert head["slice_dir"].tolist() == [0, 0, 1]
    # 250 Hz a pixel, 54 samples.
    assert head["sample_time_us"] == pytest.approx(1e6 / 250 / 54)


def test_the_same_scan_makes_the_same_files(coils_store, tmp_path):
    scan = load_raw_scan(coils_store, "head-000")
    for name in ("a", "b"):
        write_ismrmrd(scan, tmp_path / f"{name}.h5")
        write_fastmri(scan, scan, tmp_path / f"{name}.hdf5")
    for ending in ("h5", "hdf5"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize("mask", ["all", "fixed"])
def test_fastmri_returns_the_same_bytes(coils_store, tmp_path, mask):
    scan, full = (
        load_raw_scan(coils_store, "head-000", mask),
        load_raw_scan(coils_store, "head-000"),
    )
    write_fastmri(scan, full, tmp_path / "a.h5")
    read = read_fastmri(tmp_path / "a.h5")
    assert read.kspace.tobytes() == scan.kspace.tobytes()
    assert np.array_equal(read.mask, scan.mask)
    assert (read.patient_id, read.acquisition) == ("head-000", "SPIN_ECHO")


def test_a_fastmri_reader_gets_its_axes_padding_and_image(coils_store, tmp_path):
    """As fastMRI's loader does: masks along the last axis, centre and size from the header."""
    scan = load_raw_scan(coils_store, "head-000")
    write_fastmri(scan, scan, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        kspace, mask = file["kspace"][...], file["mask"][...]
        target, attributes = file["reconstruction_rss"][...], dict(file.attrs)
        root = ElementTree.fromstring(file["ismrmrd_header"][()])
    assert kspace.shape == (14, 3, 54, 45)  # read-out, then phase encoding
    assert mask.shape == (45,)
    where = "m:encoding/m:encodingLimits/m:kspace_encoding_step_1"
    lines = int(root.findtext("m:encoding/m:encodedSpace/m:matrixSize/m:y", None, NAMESPACE))
    centre, most = (
        int(root.findtext(f"{where}/m:{k}", None, NAMESPACE)) for k in ("center", "maximum")
    )
    padding_left = lines // 2 - centre
    assert (padding_left, padding_left + most + 1) == (0, 45)
    axes = (-2, -1)
    images = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), norm="ortho"), axes=axes
    )
    # Single precision, sums of 2430 terms.
    np.testing.assert_allclose(np.sqrt((abs(images) ** 2).sum(1)), target, rtol=0, atol=1e-5)
    assert attributes["max"] == target.max()
    assert attributes["norm"] == pytest.approx(np.sqrt((target.astype(float) ** 2).sum()), rel=1e-6)


def test_a_single_coil_has_no_coil_axis_in_fastmri(tiny_store, tmp_path):
    scan = load_raw_scan(tiny_store, "head-001")
    write_fastmri(scan, scan, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["kspace"].shape == (14, 54, 45)
        assert file["reconstruction_esc"].shape == (14, 54, 45)
    assert read_fastmri(tmp_path / "a.h5").kspace.tobytes() == scan.kspace.tobytes()


@pytest.mark.parametrize("read", [read_ismrmrd, read_fastmri])
def test_what_is_no_such_file_is_named(tmp_path, read):
    (tmp_path / "a.h5").write_text("nothing")
    with pytest.raises(SpinforgeError, match=r"a\.h5 is not a readable"):
        read(tmp_path / "a.h5")
