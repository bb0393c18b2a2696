import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from spinforge.flows.cli import app

TINY = """
name: tiny
data:
  spacing_mm: 4
  slices: {thickness_mm: 12, count: 14}
  sampling: {acs_lines: 4}
  subjects: {train: 1, validation: 1, test: 1}
"""


def run(folder: Path, *options: str):
    study = folder / "tiny.yaml"
    study.write_text(TINY)
    return CliRunner().invoke(
        app, ["inspect", str(study), "--to", str(folder / "pictures"), "--json", *options]
    )


def test_pictures_of_one_subject_are_drawn(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    paths = [Path(p) for p in json.loads(result.stdout)["pictures"]]
    assert [p.name for p in paths] == [
        f"head-000-{what}.png" for what in ("tissues", "acquisition", "fields", "contrasts")
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 200
    assert {p.name for p in (tmp_path / "pictures").iterdir()} == {p.name for p in paths}


def test_a_subject_that_is_not_there_is_named(tmp_path):
    result = run(tmp_path, "--subject", "head-9")
    assert result.exit_code == 2
    assert "'head-9' is not in the study; it has head-000, head-001, head-002" in result.output
    assert not (tmp_path / "pictures").exists()
