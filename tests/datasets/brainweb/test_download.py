"""The download client against a server that plays BrainWeb's form, with all that goes wrong."""

import gzip
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from brainweb_form import LABELS, PAGE, BrainWebForm, answer
from filelock import FileLock
from minc import write_minc

from spinforge.datasets.brainweb import download
from spinforge.datasets.brainweb.collections import brainweb20_volumes
from spinforge.datasets.brainweb.download import download_missing, download_model, download_volumes
from spinforge.datasets.brainweb.download_record import RECORD_NAME
from spinforge.simulation.errors import SpinforgeError

pytestmark = pytest.mark.usefixtures("small_volumes")


def fetch(form, folder, subject="subject04"):
    return download_model(subject, folder, form=form, wait_s=0.0)


def files_in(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".download.lock"}


def test_a_model_is_asked_for_and_kept(form, model, folder):
    answer(model)
    path = fetch(form, folder)
    assert path.name == "subject04_crisp_v.mnc.gz"
    assert path.read_bytes() == model
    assert BrainWebForm.queries == [
        {
            "do_download_alias": "subject04_crisp",
            "format_value": "minc",
            "zip_value": "gnuzip",
            "who_name": "",
            "who_institution": "",
            "who_email": "",
            "download_for_real": "[Start download!]",
        }
    ]
    assert BrainWebForm.headers_seen[0]["Accept-Encoding"] == "identity"


def test_what_came_when_and_from_where_is_recorded(form, model, folder):
    answer(model)
    fetch(form, folder)
    fetch(form, folder, "subject05")
    record = json.loads((folder / RECORD_NAME).read_text())
    assert list(record) == ["subject04_crisp_v.mnc.gz", "subject05_crisp_v.mnc.gz"]
    entry = record["subject05_crisp_v.mnc.gz"]
    assert entry["sha256"] == hashlib.sha256(model).hexdigest()
    assert entry["address"].startswith(f"{form}?do_download_alias=subject05_crisp&")
    age = datetime.now(UTC) - datetime.fromisoformat(entry["date"])
    assert timedelta(seconds=-1) < age < timedelta(minutes=5)


def test_a_whole_file_is_not_fetched_again(form, model, folder):
    answer(model)
    assert fetch(form, folder) == fetch(form, folder)
    assert len(BrainWebForm.queries) == 1


def test_a_file_copied_by_hand_is_checked_and_not_fetched(form, model, folder):
    folder.mkdir()
    (folder / "subject04_crisp_v.mnc.gz").write_bytes(model)
    fetch(form, folder)
    (folder / "subject04_crisp_v.mnc.gz").write_bytes(model[:-9])
    with pytest.raises(SpinforgeError, match=r"subject04_crisp_v.mnc.gz is truncated or damaged"):
        fetch(form, folder)
    assert BrainWebForm.queries == []
    assert files_in(folder) == {"subject04_crisp_v.mnc.gz"}


def test_a_file_that_changed_since_is_named(form, model, folder, tmp_path):
    answer(model)
    path = fetch(form, folder)
    write_minc(path, 9 - LABELS)
    with pytest.raises(SpinforgeError, match=r"is not what was downloaded on 20.*SHA-256 is"):
        fetch(form, folder)


def test_a_damaged_record_is_named(form, model, folder):
    answer(model)
    fetch(form, folder)
    (folder / RECORD_NAME).write_text('{"subject04_crisp_v.mnc.gz": {"sha')
    with pytest.raises(SpinforgeError, match=r"downloads.json is damaged. Delete it"):
        fetch(form, folder)


def test_uncompressed_answers_are_kept_under_their_own_name(form, model, folder):
    answer(gzip.decompress(model))
    assert fetch(form, folder).name == "subject04_crisp_v.mnc"


def cut_short(model):
    return lambda handler: handler.send_body(model[:50], length=len(model))


def nonsense_length(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "many")
    handler.end_headers()


def hang_up(handler):
    handler.close_connection = True


@pytest.mark.parametrize(
    "failure",
    [
        lambda model: 503,
        lambda model: 500,
        lambda model: 404,
        cut_short,
        lambda model: model[: len(model) // 2],
        lambda model: b"",
        lambda model: b"some text",
        lambda model: gzip.compress(bytes(10**8), 1),
        lambda model: nonsense_length,
        lambda model: hang_up,
    ],
    ids=["503", "500", "404", "cut", "half", "empty", "text", "bomb", "length", "hang-up"],
)
def test_passing_failures_are_tried_again(form, model, folder, failure):
    answer(*[failure(model)] * 2, model)
    assert fetch(form, folder).read_bytes() == model
    assert len(BrainWebForm.queries) == 3


def test_lasting_failures_are_named(form, folder):
    answer(503)
    with pytest.raises(SpinforgeError, match=r"cannot download subject04_crisp_v.*503.* Check the"):
        fetch(form, folder)
    assert len(BrainWebForm.queries) == 3
    assert files_in(folder) == set()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m[: len(m) // 2], "truncated or damaged"),
        (lambda m: PAGE, "is a web page"),
        (lambda m: gzip.compress(PAGE), "is a web page"),
        (lambda m: b"", "is not a MINC1 file"),
        (lambda m: gzip.compress(bytes(10**8), 1), "has more than"),
    ],
    ids=["truncated", "page", "zipped-page", "empty", "bomb"],
)
def test_unusable_answers_leave_no_file(form, model, folder, spoil, message):
    answer(spoil(model))
    with pytest.raises(SpinforgeError, match=message):
        fetch(form, folder)
    assert files_in(folder) == set()


def test_a_volume_of_another_kind_is_refused(form, folder, tmp_path):
    write_minc(tmp_path / "fuzzy.mnc.gz", LABELS, real_max=1.0)
    answer((tmp_path / "fuzzy.mnc.gz").read_bytes())
    with pytest.raises(SpinforgeError, match="expected the integer labels 0 to 11"):
        fetch(form, folder)
    assert files_in(folder) == set()


def test_a_slow_start_is_waited_for_only_so_long(form, model, folder):
    volumes = brainweb20_volumes(["subject04"])

    def slow(handler):
        time.sleep(0.6)

    answer(slow, model)
    (path,) = download_volumes(volumes, folder, form=form, wait_s=0.0, timeout_s=0.2)
    assert path.read_bytes() == model

    def late(handler):
        time.sleep(0.2)
        return model

    answer(late)
    path.unlink()
    (path,) = download_volumes(volumes, folder, form=form, wait_s=0.0, timeout_s=10.0)
    assert path.read_bytes() == model


def test_pauses_between_tries_double(form, folder, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    answer(503)
    with pytest.raises(SpinforgeError, match="cannot download"):
        download_model("subject04", folder, form=form, wait_s=7.0)
    assert pauses == [7.0, 14.0]


def test_an_answer_without_end_is_cut_off(form, folder, monkeypatch):
    monkeypatch.setattr(download, "_LARGEST_FILE", 10_000)
    answer(bytes(20_000))
    with pytest.raises(SpinforgeError, match="the answer has more than 10000 bytes"):
        fetch(form, folder)
    assert files_in(folder) == set()


def test_no_server_is_named(folder):
    with pytest.raises(
        SpinforgeError, match=r"cannot download subject04_crisp_v: .*Connection refused.*http"
    ):
        fetch("http://127.0.0.1:9/cgi/brainweb1", folder)


def test_what_is_not_served_as_minc_is_asked_for_as_shorts(form, folder):
    stretched = np.rint(LABELS * (4095 / 255))
    stretched.flat[-1] = 177  # marrow: shows that the labels are stretched
    answer(PAGE, gzip.compress(stretched.astype("<u2").tobytes()))
    assert fetch(form, folder).name == "subject04_crisp_v.raws.gz"
    assert [query["format_value"] for query in BrainWebForm.queries] == ["minc", "raw_short"]


def test_an_interrupted_download_goes_on_with_what_is_missing(form, model, folder):
    volumes = brainweb20_volumes(["subject04", "subject05", "subject06"])
    answer(model)
    coming = download_volumes(volumes, folder, form=form, wait_s=0.0)
    next(coming)
    coming.close()
    (folder / "subject05_crisp_v.mnc.part").write_bytes(b"left by a killed process")
    paths = list(download_volumes(volumes, folder, form=form, wait_s=0.0))
    assert [path.name[:9] for path in paths] == ["subject04", "subject05", "subject06"]
    assert [query["do_download_alias"] for query in BrainWebForm.queries] == [
        "subject04_crisp",
        "subject05_crisp",
        "subject06_crisp",
    ]
    assert files_in(folder) == {path.name for path in paths} | {RECORD_NAME}


def test_ctrl_c_leaves_no_part(form, model, folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download._Body, "write", interrupted)
    answer(model)
    with pytest.raises(KeyboardInterrupt):
        fetch(form, folder)
    assert files_in(folder) == set()


def test_a_full_disk_is_named_and_not_tried_again(form, model, folder):
    folder.mkdir()
    (folder / "subject04_crisp_v.mnc.part").symlink_to("/dev/full")
    answer(model)
    with pytest.raises(SpinforgeError, match=r"cannot write .*part: No space left on device. Free"):
        fetch(form, folder)
    assert len(BrainWebForm.queries) == 1


@pytest.mark.parametrize("place", ["file", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_named(form, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpinforgeError, match=r"cannot write .*: (File exists|No such file|Not a)"):
        fetch(form, tmp_path / place)
    assert BrainWebForm.queries == []


def test_two_downloads_do_not_share_a_folder(form, folder):
    folder.mkdir()
    with (
        FileLock(folder / ".download.lock"),
        pytest.raises(SpinforgeError, match=r"another download into .* is running"),
    ):
        fetch(form, folder)


def test_unknown_subjects_are_refused_before_asking(form, folder):
    with pytest.raises(SpinforgeError, match="'subject07' is none of BrainWeb's twenty"):
        fetch(form, folder, "subject07")
    assert BrainWebForm.queries == []


def test_only_missing_subjects_are_fetched(model, tmp_path, monkeypatch):
    (tmp_path / "subject04_crisp_v.mnc.gz").write_bytes(model)
    fetched = []
    monkeypatch.setattr(
        "spinforge.datasets.brainweb.download.download_model",
        lambda subject, folder: fetched.append(subject),
    )
    download_missing(tmp_path, ["subject04", "subject05"])
    assert fetched == ["subject05"]
