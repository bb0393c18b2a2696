import re
from pathlib import Path

import pytest
import yaml

from spinforge.flows.config import Study, load_study, study_yaml
from spinforge.flows.suite_file import is_suite
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: demo\nnetworks:\n  - {kind: unet, width: 8}\n  - {kind: crdn}\n")
    return path


def message(file, *overrides):
    with pytest.raises(SpinforgeError) as error:
        load_study(file, overrides)
    return str(error.value)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert "empty.yaml is empty; say at least its name" in message(path)


def test_a_file_that_says_no_more_than_its_name_is_the_default_study(tmp_path):
    path = tmp_path / "heads.yaml"
    path.write_text("name: quickstart\n")
    assert load_study(path) == Study()


def test_a_study_without_a_name_has_that_of_its_file_with_and_without_a_budget(tmp_path):
    path = tmp_path / "heads.yaml"
    path.write_text("seed: 1\nbudgets: {smoke: {seed: 2}}\n")
    assert load_study(path).name == "heads"
    assert load_study(path, ["budget=smoke"]).name == "heads-smoke"


def test_written_studies_read_back_as_themselves(tmp_path, file):
    study = load_study(file, ["data.noise.percent=20", "training.epochs=3"])
    path = tmp_path / "resolved.yaml"
    path.write_text(study_yaml(study))
    assert load_study(path) == study


def test_overrides_reach_mappings_lists_and_new_keys(file):
    study = load_study(file, ["networks.0.width=32", "data.scan.te_ms=60", "data.subjects.test=2"])
    assert study.networks[0].width == 32
    assert study.data.scan.te_ms == 60
    assert study.data.subjects.test == 2


def test_override_values_are_yaml(file):
    study = load_study(file, ["data.subjects.test=[head-000]", "tracking.uri=null"])
    assert study.data.subjects.test == ("head-000",)
    assert study.tracking.uri is None


@pytest.mark.parametrize(
    ("override", "where", "nearest"),
    [
        ("training.epoch=3", "training.epoch", "epochs"),
        ("data.noise.percnt=3", "data.noise.percnt", "percent"),
        ("networks.0.widht=3", "networks.0.widht", "width"),
        ("trainning.epochs=3", "trainning", "training"),
        ("data.sampling.acs_line=3", "data.sampling.acs_line", "acs_lines"),
        ("data.sampling={kind: random1d, exakt: 1}", "data.sampling.exakt", "exact"),
    ],
)
def test_unknown_keys_name_the_nearest_valid_one(file, override, where, nearest):
    text = message(file, override)
    assert f"{where}: unknown key. Did you mean `{nearest}`?" in text
    assert str(file) in text


@pytest.mark.parametrize(
    ("override", "where", "bounds"),
    [
        ("data.noise.percent=300", "data.noise.percent = 300", ">= 0, <= 100"),
        ("data.sampling.keep=0", "data.sampling.keep = 0", "> 0, <= 1"),
        (
            "data.sampling={kind: equispaced, acceleration: 0}",
            "data.sampling.acceleration = 0",
            ">= 1, <= 64",
        ),
        ("training.epochs=0", "training.epochs = 0", ">= 1"),
        ("networks.0.width=0", "networks.0.width = 0", ">= 1, <= 256"),
        ("workers=0", "workers = 0", ">= 1, <= 256"),
        ("data.noise.percent=.nan", "data.noise.percent = nan", ">= 0, <= 100"),
    ],
)
def test_values_out_of_range_name_their_bounds(file, override, where, bounds):
    text = message(file, override)
    assert where in text
    assert f"(allowed: {bounds}" in text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs=many", "training.epochs = 'many': must be a valid integer"),
        ("networks.0.kind=vnet", "networks.0"),
        ("data.sampling={kind: poisson2d}", "Valid: gaussian1d, random1d, equispaced"),
        ("name=Bad Name", "name = 'Bad Name'"),
        ("data.phantom=brainweb20", "needs `path`"),
        ("networks=[]", "networks = []"),
        ("data.subjects.train=head-000", "write a number, or a list of names such as [head-000]"),
    ],
)
def test_wrong_values_are_named(file, override, expected):
    assert expected in message(file, override)


def test_all_problems_are_listed_at_once(file):
    text = message(file, "training.epoch=3", "data.noise.percent=300")
    assert "training.epoch: unknown key" in text
    assert "data.noise.percent = 300" in text


def test_two_networks_need_two_names(file):
    text = message(file, "networks.1={kind: unet, name: unet}")
    assert "two networks are named unet" in text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("networks.7.width=3", "'7' is not the number of one of the 2 entries"),
        ("networks.unet.width=3", "'unet' is not the number"),
        ("name.first=x", "'demo' has no keys"),
        ("name=[", "not valid YAML"),
    ],
)
def test_overrides_that_make_no_sense_are_named(file, override, expected):
    assert expected in message(file, override)


def test_an_entry_of_a_list_that_the_file_lacks_is_explained(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text("name: short\n")
    for override in ("networks.0.width=8", "networks.0={kind: unet}"):
        text = message(path, override)
        assert "the file has no list 'networks' whose entry 0 could be changed" in text
        assert "--set 'networks=[{kind: unet, width: 8}]'" in text


def test_paths_may_start_at_the_home_folder(file, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    study = load_study(file, ["out=~/runs", "data={phantom: brainweb20, path: ~/brainweb20}"])
    assert study.out == tmp_path / "runs"
    assert study.data.path == tmp_path / "brainweb20"


def test_missing_files_name_the_nearest_one(file):
    text = message(file.with_name("studi.yaml"))
    assert "studi.yaml does not exist. Did you mean" in text
    assert "study.yaml?" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name: [", "is not valid YAML"),
        ("- a\n- b\n", "must hold `key: value` lines"),
        ("name: a\nname: b\n", "key 'name' is given twice"),
        ("data: {seed: 1, seed: 2}\n", "key 'seed' is given twice"),
        ("name: !!python/object/apply:os.system [ls]\n", "is not valid YAML"),
    ],
)
def test_bad_yaml_is_named(file, content, expected):
    file.write_text(content)
    text = message(file)
    assert expected in text
    assert str(file) in text


def test_binary_files_are_named(file):
    file.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in message(file)


STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize(
    "path", [p for p in STUDIES if not is_suite(p)], ids=lambda path: path.stem
)
def test_shipped_studies_are_valid_and_say_what_they_mean(path):
    name = path.stem
    study = load_study(path)
    assert study.name == name
    content = yaml.safe_load(path.read_text())
    for budget in content.pop("budgets", {}):
        assert load_study(path, [f"budget={budget}"]).name == f"{name}-{budget}"
    assert_says(content, yaml.safe_load(study_yaml(study)))


def assert_says(file, dumped):
    """Whatever stands in the file is what the study holds, at any depth; short forms are known."""
    if isinstance(file, dict):
        named = {str(key): value for key, value in dumped.items()}
        for key, value in file.items():
            assert_says(value, named[str(key)])
    elif isinstance(dumped, list) and not isinstance(file, list):
        assert dumped == [file]
    elif isinstance(file, list):
        for value, other in zip(file, dumped, strict=True):
            assert_says(value, other)
    elif isinstance(file, str) and isinstance(dumped, dict):
        # Short for corruptions: {preset: ...}, for one set: {name: ...}, for its link: {kind: ...}.
        assert file == dumped[next(key for key in ("preset", "name", "kind") if key in dumped)]
    else:
        assert file == dumped


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.scan.kind=foo", "data.scan.kind = 'foo': unknown kind. Valid: spin_echo, dual_echo"),
        (
            "data.product=crdn_brian",
            "data.product = 'crdn_brian': unknown product. Did you mean `crdn_brainweb`? Valid",
        ),
        ("data.scan.te=20", "data.scan.te: unknown key. Did you mean `te_ms`?"),
        (
            "data.sampling.kind=gausian1d",
            "unknown kind. Did you mean `gaussian1d`?",
        ),
        ("data.scanner.b1_pek=0.1", "data.scanner.b1_pek: unknown key. Did you mean `b1_peak`?"),
        ("data.scanner.coils=99", "data.scanner.coils = 99: must be less than or equal to 64"),
        ("data.scanner=ideel", "'ideal', 'seranet' or 'brainweb'"),
    ],
)
def test_mistakes_in_the_scan_are_explained(tmp_path, override, message):
    path = tmp_path / "study.yaml"
    path.write_text("name: s\n")
    with pytest.raises(SpinforgeError, match=re.escape(message)):
        load_study(path, [override])


def test_a_mistake_in_a_network_is_one_mistake(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("networks: [{kind: unet, widht: 4}]")
    with pytest.raises(SpinforgeError, match="Did you mean `width`") as caught:
        load_study(path)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("{name: b}", "networks.0: lacks `kind`, which says what it is"),
        ("crdn", "networks.0 = 'crdn': must be a mapping of keys to values"),
        ("{kind: crdn, name: B b}", "networks.0.name = 'B b': must be lower-case letters"),
        ("{kind: monai_dynunet, filters: [4, 8]}", "filters = [4, 8]: needs at least 3, not 2"),
        ("{kind: encoder_decoder}", "networks.0.decoder: must be given: fcn, segnet, unet"),
        ("{kind: crdn}, {kind: crdn}", "networks: two networks are named crdn"),
    ],
)
def test_mistakes_in_networks_are_told_once_and_plainly(file, network, expected):
    lines = message(file, f"networks=[{network}]").splitlines()
    assert len(lines) == 2  # the file, and the mistake
    assert expected in lines[1]
    assert "[{" not in lines[1]  # no list as Python writes it
