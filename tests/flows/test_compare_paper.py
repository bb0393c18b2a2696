"""spinforge compare-paper: what it prints, with and without runs."""

import csv
import json
import shlex
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.evaluation.published.comparison import compare
from spinforge.evaluation.published.figures import CaseScores
from spinforge.evaluation.published.matching import Scored, match
from spinforge.evaluation.published.tables import Condition, datasets, published_tables
from spinforge.evaluation.robustness.long_table import TRAINED_CLEAN
from spinforge.flows import paper_comparison
from spinforge.flows.cli import app
from spinforge.flows.config import Study, load_study
from spinforge.flows.corrupt import corrupt
from spinforge.flows.evaluate import evaluate
from spinforge.flows.published_runs import scored_networks
from spinforge.flows.robustness_trials import study_severities
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Not in the checkout, which may hold runs."""
    monkeypatch.chdir(tmp_path)


def called(*arguments: str) -> tuple[int, str]:
    """Exit code, and all the command said."""
    done = CliRunner().invoke(app, ["compare-paper", *arguments])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def tables():
    return compare(published_tables(), [])


def test_without_any_run_every_number_is_printed():
    code, said = called()
    assert code == 0, said
    words = said.split()
    for table in published_tables():
        assert f"{table.paper}, {table.number}: {table.title}" in said
        for row in table.rows:
            for text in row.values.split():
                assert text == "-" or text in words, (table.id, row.name, text)
    assert "SERANet, Table 2: 0 of 15 rows run; not run: all." in said


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal(tables, width):
    said = StringIO()
    console = Console(width=width, file=said, highlight=False)
    console.print(paper_comparison.as_tables(tables, [], width=width))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in said.getvalue()
    assert ("not run" in lines[6]) == (width == 120)


def test_json_and_csv_have_the_same_numbers(tmp_path):
    code, said = called("--paper", "hlenet", "--json", "--csv", "numbers.csv")
    assert code == 0, said
    numbers = json.loads(said)["numbers"]
    with (tmp_path / "numbers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["printed"] for row in rows] == [number["printed"] for number in numbers]
    assert len(numbers) == 39
    hle = next(n for n in numbers if (n["row"], n["column"]) == ("HLE-Net", "ISIC Dice"))
    assert (hle["published"], hle["status"], hle["ours"]) == (0.866, "not run", None)
    assert hle["command"] == "spinforge study studies/isic-like.yaml"
    size = next(n for n in numbers if (n["row"], n["column"]) == ("HLE-Net", "Params"))
    assert (size["published"], size["ours"], size["status"]) == (5_500_000, 5_531_545, "run")
    assert {n["status"] for n in numbers if n["row"] == "Yuan"} == {"others' method"}


def test_a_page_in_markdown(tmp_path):
    code, said = called("--paper", "crdn", "--table", "2", "--markdown", "page.md")
    assert code == 0, said
    page = (tmp_path / "page.md").read_text()
    assert "### CRDN, Table 2: Pixel accuracy" in page
    row = "| FCN VGG16 | 0.9575 | 0.9142 | 0.9570 | 0.8637 | 0.9165 | 0.8368 | 50.42M | not run |"
    assert row in page
    assert "| counted |  |  |  |  |  |  | 50.4195M |  |" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {10}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "nowhere"], "--runs nowhere: there is no such folder"),
        (
            ["--table", "7"],
            "--table 7: no such table; choose one of table-1, table-2, figure-7-noise",
        ),
        (["--csv", "."], "is a folder; name a file"),
    ],
)
def test_bad_input_is_one_line(arguments, said):
    code, output = called(*arguments)
    assert code == 2
    assert said in output
    assert len(output.strip().splitlines()) == 1


def test_a_folder_without_runs_is_said(tmp_path):
    code, said = called("--runs", str(tmp_path))
    assert code == 2
    assert "holds no run" in said


def test_a_finished_study_stands_beside_its_row(finished):
    study, _ = finished
    code, said = called("--runs", str(study.out), "--paper", "seranet", "--json")
    assert code == 0, said
    answer = json.loads(said)
    ours = [n for n in answer["numbers"] if n["ours"] is not None]
    # The tiny U-Net segments zero-filled images; CRDN is none of SERANet's rows.
    assert {(n["table"], n["row"]) for n in ours} == {("table-1", "Zero-filling")}
    assert {n["source"] for n in ours} == {"stand-in"}
    assert "width 4 instead of 64" in ours[0]["changes"]
    folder = network_folder(study, study.networks[0])
    assert ours[0]["folders"] == [str(folder)]
    average = next(n for n in ours if n["column"] == "Avg Dice")
    assert average["ours"] == pytest.approx(finished[1]["dice"]["unet"])
    assert average["difference"] == pytest.approx(average["ours"] - 0.7970)
    assert average["subjects"] == 1


def test_a_run_that_was_moved_is_found_and_one_that_cannot_be_read_is_named(copy, tmp_path):
    moved = tmp_path / "elsewhere" / "of-old"
    moved.parent.mkdir()
    RunFolder.of(copy).path.rename(moved)
    broken = tmp_path / "elsewhere" / "broken"
    broken.mkdir()
    (broken / "study.yaml").write_text("networks: 3")
    found, left_out = scored_networks(moved.parent)
    assert {one.run for one in found} == {str(moved)}
    assert len(found) == 2
    assert [text.partition(":")[0] for text in left_out] == [str(broken)]
    alone, _ = scored_networks(moved)
    assert [one.folder for one in alone] == [one.folder for one in found]


def loaded(command: str, more: str | None = None) -> Study:
    """The study that a command of `datasets.yaml` runs."""
    program, _, file, *options = shlex.split(command) + shlex.split(more or "")
    assert program == "spinforge"
    assert set(options[::2]) <= {"--set"}
    return load_study(ROOT / file, options[1::2])


def as_if_scored(study: Study) -> list[Scored]:
    scores = CaseScores(pd.DataFrame())
    return [
        Scored("x", "x", network, study.data, study.training, 0, scores)
        for network in study.networks
    ]


@pytest.mark.parametrize("name", datasets())
def test_the_command_beside_what_was_not_run_would_run_all_of_it(name):
    data = datasets()[name]
    cells = [
        cell
        for table in published_tables()
        for row in table.rows
        for cell in table.cells(row)
        if cell.column.data == name and not row.others
    ]
    assert cells
    plain = as_if_scored(loaded(data.command))
    for cell in cells:
        matches = [found for one in plain if (found := match(cell, one))]
        assert matches, cell
        assert min(matches, key=lambda one: one.order).changes == (), cell
    if data.real is not None:
        real = as_if_scored(loaded(data.command, data.real))
        grades = {m.source.grade for c in cells for one in real if (m := match(c, one))}
        assert len(grades) == 1
        assert "stand-in" not in grades


def test_the_command_for_figure_7_makes_its_corruptions():
    command = datasets()["brainweb"].corrupted
    study = loaded(command)
    assert study.robustness.protocols == ("clean", "retrained")
    groups = {severity.group for severity in study_severities(study)}
    assert {"rf0/1", "rf0/3", "rf0/5", "rf0/7", "rf0/9", "rf20/0", "rf40/0"} <= groups


def test_scores_of_corrupted_images_are_found_by_what_was_done_to_them(copy):
    sets = Corruptions.model_validate([{"name": "mine", "chain": ["noise"], "percent": [3, 9]}])
    study = copy.model_copy(update={"corruptions": sets})
    corrupt(study)
    evaluate(study.model_copy(update={"test_on": "mine/3"}))
    found, left_out = scored_networks(copy.out)
    assert not left_out
    assert [(one.network.name, one.condition, one.protocol) for one in found] == [
        ("unet", Condition(), TRAINED_CLEAN),
        ("crdn", Condition(), TRAINED_CLEAN),
        ("unet", Condition(noise_percent=3), TRAINED_CLEAN),
        ("crdn", Condition(noise_percent=3), TRAINED_CLEAN),
    ]
