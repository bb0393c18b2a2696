"""What BrainWeb's collections consist of, and under which names its form hands it out."""

import pytest
from brainweb_form import LABELS, PAGE, BrainWebForm, answer
from minc import write_minc

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.brainweb.collections import (
    brainweb20_volumes,
    image_settings,
    image_volume,
    subject0_volumes,
)
from spinforge.datasets.brainweb.download import download_volumes
from spinforge.datasets.brainweb.images import ImageSettings
from spinforge.simulation.errors import SpinforgeError

pytestmark = pytest.mark.usefixtures("small_volumes")


@pytest.fixture
def fuzzy(tmp_path) -> bytes:
    write_minc(tmp_path / "f.mnc.gz", LABELS, real_max=1.0, lacking=4)
    return (tmp_path / "f.mnc.gz").read_bytes()


def test_fuzzy_volumes_of_the_twenty(form, model, fuzzy, folder):
    answer(model, fuzzy)
    volumes = brainweb20_volumes(["subject50"], fuzzy=True)
    names = [p.name for p in download_volumes(volumes, folder, form=form, wait_s=0.0)]
    assert len(names) == 13
    assert names[0] == "subject50_crisp_v.mnc.gz"
    assert "subject50_dura_v.mnc.gz" in names
    assert {q["do_download_alias"] for q in BrainWebForm.queries} >= {"subject50_m-s"}


def test_subject_0_and_its_fuzzy_volumes(form, model, fuzzy, folder):
    answer(model, fuzzy)
    volumes = subject0_volumes("normal", fuzzy=True)
    list(download_volumes(volumes, folder, form=form, wait_s=0.0))
    aliases = [q["do_download_alias"].rpartition("_")[2] for q in BrainWebForm.queries]
    assert aliases == "crisp bck csf gry wht fat m+s skn skl gli mit".split()
    assert brainweb_subject0.load_model(folder, "normal").parameters["model"] == "fuzzy"


def test_the_other_alias_of_muscle_and_skin_is_tried(form, fuzzy, folder):
    (volume,) = (v for v in subject0_volumes("msles2", fuzzy=True) if v.stem.endswith("m+s"))
    answer(PAGE, fuzzy)
    (path,) = download_volumes([volume], folder, form=form, wait_s=0.0)
    assert path.name == "phantom_1.0mm_msles2_m+s.mnc.gz"
    assert [q["do_download_alias"][-3:] for q in BrainWebForm.queries] == ["m+s", "m-s"]
    assert list(download_volumes([volume], folder, form=form)) == [path]


def test_lesion_models_have_a_lesion_volume():
    for model in ("msles1", "msles2", "msles3"):
        stems = [volume.stem for volume in subject0_volumes(model, fuzzy=True)]
        assert stems[0] == f"phantom_1.0mm_{model}_crisp"
        assert stems[-1] == f"phantom_1.0mm_{model}_wml"
        assert len(stems) == 12


def test_images_are_asked_for_as_the_form_names_them(form, model, folder):
    answer(model)
    settings = ImageSettings(modality="pd", noise_percent=9, inu_percent=40)
    (path,) = download_volumes([image_volume(settings)], folder, form=form, wait_s=0.0)
    assert path.name == "pd_icbm_normal_1mm_pn9_rf40.mnc.gz"
    # The server has undone the form's "+".
    assert BrainWebForm.queries[0]["do_download_alias"] == "PD ICBM normal 1mm pn9 rf40"


def test_images_that_do_not_exist_are_refused():
    assert image_settings("T2", "normal", 3, 0, 0).stem == "t2_icbm_normal_3mm_pn0_rf0"
    with pytest.raises(SpinforgeError, match=r"no image with thickness_mm = 2. Input should be 1"):
        image_settings("t1", "normal", 2, 0, 0)
