"""Budgets of a study file, and lists of studies."""

import pytest
from typer.testing import CliRunner

from spinforge.flows.cli import app
from spinforge.flows.config import load_study, study_yaml
from spinforge.flows.study_file import read_yaml
from spinforge.flows.suite_file import is_suite, load_suite
from spinforge.models.catalogue import CATALOGUE
from spinforge.simulation.errors import SpinforgeError

STUDY = """
name: heads
data: {spacing_mm: 4, slices: {thickness_mm: 12, count: 12}, sampling: {acs_lines: 4}}
networks: [{kind: unet, width: 16}]
training: {epochs: 9, batch_size: 5}
budgets:
  smoke: {training.epochs: 1, networks.0.width: 4}
  none: {}
  wrong: {networks.3.width: 4}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "heads.yaml"
    path.write_text(STUDY)
    return path


def test_a_budget_changes_what_it_lists_and_the_name(file):
    study = load_study(file, ["budget=smoke"])
    assert study.name == "heads-smoke"
    assert (study.training.epochs, study.training.batch_size) == (1, 5)
    assert study.networks[0].width == 4


def test_without_a_choice_the_file_is_taken_as_it_stands(file):
    assert load_study(file).name == "heads"
    assert load_study(file) == load_study(file, ["budget=full"])
    assert load_study(file).training.epochs == 9


def test_a_file_may_choose_its_own_budget(file):
    file.write_text(STUDY + "budget: smoke\n")
    assert load_study(file).training.epochs == 1
    assert load_study(file, ["budget=full"]).training.epochs == 9


def test_the_command_line_has_the_last_word(file):
    study = load_study(file, ["training.epochs=3", "budget=smoke", "name=other"])
    assert (study.training.epochs, study.name) == (3, "other")


def test_a_resolved_study_reads_back_without_its_budgets(file, tmp_path):
    study = load_study(file, ["budget=smoke"])
    (tmp_path / "again.yaml").write_text(study_yaml(study))
    assert load_study(tmp_path / "again.yaml") == study


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("budget=smok", r"heads\.yaml has no budget 'smok'; it has full, smoke, none, wrong\."),
        ("budget=wrong", r"budgets\.wrong, networks\.3\.width: '3' is not the number of one"),
        ("budgt=smoke", r"budgt: unknown key\. Did you mean `budget`\?"),
    ],
)
def test_a_budget_that_is_not_there_or_leads_nowhere_is_named(file, override, expected):
    with pytest.raises(SpinforgeError, match=expected):
        load_study(file, [override])


def test_budgets_must_be_changes(file):
    file.write_text("budgets: [smoke]\n")
    with pytest.raises(SpinforgeError, match="budgets must map names to changes"):
        load_study(file)


@pytest.mark.parametrize("budget", ["[smoke]", "{a: 1}", "3"])
def test_a_budget_is_chosen_by_its_name(file, budget):
    file.write_text(STUDY + f"budget: {budget}\n")
    with pytest.raises(SpinforgeError, match=r"heads\.yaml: budget = .* must be the name of one"):
        load_study(file)


@pytest.mark.parametrize(
    "override", ["budget.smoke=1", "budgets={}", "budgets.smoke.training.epochs=2"]
)
def test_budgets_are_not_changed_on_the_command_line(file, override):
    with pytest.raises(SpinforgeError, match="chosen with --set budget=NAME"):
        load_study(file, [override])


def test_a_list_is_no_study(file):
    file.write_text("studies: [heads.yaml]\n")
    with pytest.raises(SpinforgeError, match="is a list of studies, which only `spinforge study`"):
        load_study(file, ["budget=smoke"])


def test_a_list_gives_every_study_its_budget_and_the_overrides(file, tmp_path):
    (tmp_path / "all.yaml").write_text("studies: [heads.yaml]\nbudget: smoke\n")
    assert is_suite(tmp_path / "all.yaml")
    assert not is_suite(file)
    _, studies = load_suite(tmp_path / "all.yaml", ["out=elsewhere"])
    assert studies == [load_study(file, ["budget=smoke", "out=elsewhere"])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("studies: [heads.yaml, heads.yaml]", "several of its studies are named heads"),
        ("studies: [haeds.yaml]", r"haeds\.yaml does not exist\. Did you mean .*heads\.yaml"),
        ("studies: []", "needs at least 1, not 0"),
        ("studies: [heads.yaml]\nbuget: smoke", "buget: unknown key. Did you mean `budget`"),
    ],
)
def test_a_wrong_list_is_refused(file, tmp_path, text, expected):
    (tmp_path / "all.yaml").write_text(text)
    with pytest.raises(SpinforgeError, match=expected):
        load_suite(tmp_path / "all.yaml")


def test_errors_in_a_list_name_the_list_and_its_entry(file, tmp_path):
    (tmp_path / "all.yaml").write_text("studies: [heads.yaml]\nbudget: big\n")
    with pytest.raises(SpinforgeError, match=r"all\.yaml, studies, heads\.yaml: .*no budget 'big'"):
        load_suite(tmp_path / "all.yaml")


def test_a_list_whose_second_study_cannot_start_ends_before_the_first_does(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "one.yaml").write_text(STUDY + f"out: {tmp_path / 'runs'}\n")
    two = STUDY.replace("name: heads", "name: two") + f"out: {tmp_path / 'file'}\n"
    (tmp_path / "two.yaml").write_text(two)
    (tmp_path / "all.yaml").write_text("studies: [one.yaml, two.yaml]\n")
    done = CliRunner().invoke(app, ["study", str(tmp_path / "all.yaml")])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("error: study two: ")
    assert "is a file" in done.output
    assert not (tmp_path / "runs").exists()


def test_a_wrong_key_of_a_list_names_each_valid_one_once(file, tmp_path):
    (tmp_path / "all.yaml").write_text("studies: [heads.yaml]\nbuget: smoke\n")
    with pytest.raises(SpinforgeError) as raised:
        load_suite(tmp_path / "all.yaml")
    _, _, valid = str(raised.value).partition("Valid keys here: ")
    assert valid.rstrip(".").split(", ").count("budget") == 1


def test_smoke_all_has_every_network_of_the_papers(repository):
    _, studies = load_suite(repository / "studies" / "smoke-all.yaml")

    def shape(config):
        """What tells two networks of one kind apart, but not how wide they are."""
        fields = config.model_dump(mode="json")
        block = fields.get("reconstruction", {}).get("block")
        dropped = {"name", "width", "head_channels", "blocks", "reconstruction", "squeeze_kernel"}
        return str(sorted({k: v for k, v in fields.items() if k not in dropped}.items())), block

    trained = {shape(network) for study in studies for network in study.networks}
    missing = [entry.name for entry in CATALOGUE if shape(entry.config) not in trained]
    assert missing == []


def test_every_study_of_smoke_all_has_the_papers_networks_too(repository):
    for name in read_yaml(repository / "studies" / "smoke-all.yaml")["studies"]:
        study = load_study(repository / "studies" / name)
        assert study.training.recipe != "quick", name
