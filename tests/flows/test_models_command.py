"""spinforge models: what it lists, for people, pages and programs."""

import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from typing import Annotated

import pytest
import yaml
from pydantic import Field, TypeAdapter
from rich.console import Console
from typer.testing import CliRunner

from spinforge.flows import network_list
from spinforge.flows.cli import app
from spinforge.flows.config import load_study
from spinforge.flows.network_settings import find_network, settings
from spinforge.models.catalogue import CATALOGUE
from spinforge.models.networks import NetworkConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.simulation.config import Config


def called(*arguments: str) -> tuple[int, str]:
    """Exit code, and all the command said."""
    done = CliRunner().invoke(app, ["models", *arguments])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def rows():
    """All networks, counted once: it takes seconds."""
    return network_list.count_networks()


@pytest.fixture
def _counted(rows, monkeypatch):
    monkeypatch.setattr(network_list, "count_networks", lambda size: rows)


@pytest.fixture
def listed(_counted):
    """What the command knows of all networks."""
    code, said = called("--json")
    assert code == 0, said
    return json.loads(said)


def test_json_has_every_network_with_exact_counts(listed):
    networks = {network["name"]: network for network in listed["networks"]}
    assert list(networks) == [entry.name for entry in CATALOGUE]
    found = networks["crdn-vgg16-lstm"]
    assert found["parameters"] == 14_871_564
    assert (found["published"], found["agreement"]) == ("14.87M", "rounded")
    assert (found["in_channels"], found["n_classes"], found["size"]) == (3, 4, [240, 240])
    assert found["multiply_accumulates"] == 18_408_412_800
    assert found["minimum_size"] == 16
    assert networks["only-lfe"]["agreement"] == "truncated"
    assert networks["bi-fcslstm"]["times"] == 5
    assert networks["seranet-3-b"]["takes"] == "k-space"


def test_configurations_of_the_list_make_the_networks(listed):
    parse = TypeAdapter(NetworkConfig).validate_python
    for network, entry in zip(listed["networks"], CATALOGUE, strict=True):
        assert parse(network["config"]) == entry.config
        assert parse(yaml.safe_load(network["study"])) == entry.config


def test_a_study_takes_every_network(listed, tmp_path):
    file = tmp_path / "all.yaml"
    file.write_text("networks:\n" + "".join(f"  - {n['study']}\n" for n in listed["networks"]))
    assert load_study(file).networks == tuple(entry.config for entry in CATALOGUE)


@pytest.mark.usefixtures("_counted")
def test_tables_say_how_many_published_numbers_are_met():
    code, said = called()
    assert code == 0, said
    said = " ".join(said.split())
    assert "Of 11 numbers in the paper 11 are met by rounding." in said
    assert "Of 5 numbers in the paper 4 are met by rounding, all 5 by leaving out" in said
    # 31.03 and 134.3 million by 925,544.
    assert "ours is 33.5 times smaller" in said
    assert "ours is 145.1 times smaller" in said


def test_one_wrong_cell_would_miss_the_number_of_all_three(rows):
    wrong = [
        replace(row, costs=replace(row.costs, parameters=row.costs.parameters + 10_000))
        if row.entry.name == "crdn-vgg16-rnn"
        else row
        for row in rows
        if row.entry.family == "CRDN"
    ]
    found = network_list.summary("CRDN", wrong)
    assert found == "Of 11 numbers in the paper 10 are met by rounding."


@pytest.mark.parametrize("columns", [80, 100])
def test_tables_fit_the_terminal(rows, columns):
    page = StringIO()
    console = Console(file=page, width=columns)
    console.print(network_list.as_tables(rows, None, width=columns))
    lines = [line.rstrip() for line in page.getvalue().splitlines()]
    assert max(map(len, lines)) <= columns
    # One line a network in narrow terminals, which have no room for configurations.
    (found,) = (line for line in lines if line.startswith("crdn-resnet50-lstm"))
    assert found.endswith("16" if columns == 80 else "{kind: crdn, encoder: resnet50, cell: lstm}")


def test_another_size_is_counted_instead():
    code, said = called("fcn-vgg16", "--size", "480x240", "--json")
    assert code == 0
    double = json.loads(said)
    paper = json.loads(called("fcn-vgg16", "--json")[1])
    assert 1.9 < double["multiply_accumulates"] / paper["multiply_accumulates"] < 2.1
    assert (
        json.loads(called("fcn-vgg16", "--size", "64x240", "--json")[1])["multiply_accumulates"]
        is None
    )
    assert "GMAC: too small" in called("fcn-vgg16", "--size", "64x240")[1]


@pytest.mark.parametrize("name", ["hle-net", "seranet-3pp-b", "bi-fcslstm", "res_unet_28"])
def test_one_network_is_shown_with_all_its_settings(name):
    code, said = called(name, "--json")
    assert code == 0
    found = json.loads(said)
    keys = [setting["key"] for setting in found["settings"]]
    assert all(setting["description"] for setting in found["settings"])
    assert all(setting["allowed"] for setting in found["settings"])
    code, shown = called(name)
    assert code == 0
    assert all(f"\n{key} " in shown for key in keys)


@pytest.mark.parametrize("name", ["hle-net", "seranet-3pp-b", "bi-fcslstm"])
def test_what_a_study_says_is_shown_for_every_kind(name, tmp_path):
    said = called(name)[1]
    assert "No study" not in said
    _, _, after = said.partition("networks:\n")
    (tmp_path / "one.yaml").write_text("networks:\n" + after.splitlines()[0] + "\n")
    (found,) = load_study(tmp_path / "one.yaml").networks
    assert found == find_network(name).config


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("crdn", "crdn-unet-rnn"),
        ("seranet", "seranet-3-a"),
        ("two_step", "two-step-a"),
        ("hle_net", "hle-net"),
        ("fcslstm", "fcslstm"),
        ("monai_dynunet", "monai-dynunet"),
        ("encoder_decoder", "fcn-unet"),  # which decoder must be said
    ],
)
def test_of_a_kind_the_network_with_its_defaults_is_shown(kind, name):
    assert find_network(kind).name == name


def test_settings_say_what_is_allowed_down_to_nested_ones():
    config = SERANetConfig(kind="seranet")
    found = {setting.key: (setting.value, setting.allowed) for setting in settings(config)}
    assert found["recurrences"] == (3, "1 to 10")
    assert found["reconstruction.block"] == ("cnn", "cnn, autoencoder")
    assert found["reconstruction.trust"] == (1.0, "above 0 to 1")
    assert found["attention_residual"] == (True, "true, false")
    assert "kind" not in found


@pytest.mark.parametrize(("most", "count"), [(6, "6"), (8, "6 to 8")])
def test_settings_say_what_is_allowed_in_lists_of_numbers(most, count):
    class Levels(Config):
        widths: tuple[Annotated[int, Field(ge=2, le=2048)], ...] = Field(
            (2,) * 6, min_length=6, max_length=most, description="channels of the levels"
        )

    (found,) = settings(Levels())
    assert found.allowed == f"{count} numbers, each 2 to 2048"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_setting_of_every_network_is_explained(entry):
    described = settings(entry.config)
    assert described
    assert all(setting.allowed and setting.description for setting in described)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("crdn-vgg",), "no network is named 'crdn-vgg'. Did you mean crdn"),
        (("--size", "256"), "--size 256: write height and width in pixels as HxW"),
        (("--size", "0x16"), "--size 0x16: write height and width"),
        (("--markdown", "--json"), "--markdown is for the whole list"),
    ],
)
def test_bad_input_ends_with_one_clear_line(arguments, message):
    code, said = called(*arguments)
    assert code == 2
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("_counted")
def test_the_page_about_networks_holds_the_list(repository):
    code, said = called("--markdown")
    assert code == 0
    page = (repository / "docs" / "networks.md").read_text(encoding="utf-8")
    assert said.strip() in page, "write what `spinforge models --markdown` prints into the page"


def test_the_networks_of_the_pages_example_are_a_study(repository, tmp_path):
    page = (repository / "docs" / "networks.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(example)
    study = load_study(tmp_path / "example.yaml")
    assert [network.name for network in study.networks] == ["crdn", "unet-vgg16", "hle-net"]


def test_neither_prefect_nor_the_training_loop_is_imported():
    code = """
import sys
from typer.testing import CliRunner
from spinforge.flows.cli import app
assert CliRunner().invoke(app, ["models", "crdn"]).exit_code == 0
assert not {"prefect", "mlflow", "lightning", "zarr"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
