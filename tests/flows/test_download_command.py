"""`spinforge download` asks for what its arguments say, into the folder they say."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinforge.flows.cli import app

runner = CliRunner()


@pytest.fixture
def asked(monkeypatch, prefect_server):
    """Stems and folders of what would be downloaded."""
    calls = []

    def download_volumes(volumes, folder):
        for volume in volumes:
            calls.append((str(folder), volume.stem))
            yield folder / f"{volume.stem}.mnc.gz"

    monkeypatch.setattr("spinforge.datasets.brainweb.download.download_volumes", download_volumes)
    return calls


@pytest.mark.parametrize(
    ("arguments", "folder", "first", "count"),
    [
        (["brainweb20"], "data/brainweb20", "subject04_crisp_v", 20),
        (["brainweb20", "--subject", "subject18"], "data/brainweb20", "subject18_crisp_v", 1),
        (["brainweb0", "--to", "here"], "here", "phantom_1.0mm_normal_crisp", 1),
        (["msles2", "--fuzzy"], "data/brainweb0", "phantom_1.0mm_msles2_crisp", 12),
        (["images"], "data/brainweb0", "t1_icbm_normal_1mm_pn3_rf20", 1),
        (
            ["images", "--modality", "T2", "--model", "msles2", "--thickness", "5", "--noise", "0"],
            "data/brainweb0",
            "t2_ai_msles2_5mm_pn0_rf20",
            1,
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_collections(asked, arguments, folder, first, count):
    result = runner.invoke(app, ["download", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert asked[0] == (folder, first)
    assert len(asked) == count
    assert json.loads(result.stdout)["files"][0] == str(Path(folder) / f"{first}.mnc.gz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["brainweb20", "--subject", "subject07"], "'subject07' is none of BrainWeb's twenty"),
        (["images", "--noise", "2"], "no image with noise_percent = 2"),
        (["images", "--fuzzy"], "--fuzzy belongs to the models"),
        (["msles1", "--subject", "subject04"], "--subject belongs to brainweb20"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_bad_arguments_end_with_one_message(asked, arguments, message):
    result = runner.invoke(app, ["download", *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert asked == []
