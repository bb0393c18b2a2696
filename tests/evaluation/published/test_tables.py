"""The papers' tables: complete, and in agreement with what else the papers say."""

from importlib import resources

import pytest
from pydantic import ValidationError

from spinforge.evaluation.published.tables import (
    TABLES,
    PublishedTable,
    as_number,
    datasets,
    decimals,
    published_tables,
)

SHAPES = {
    "crdn-table-1": (9, 3),
    "crdn-table-2": (11, 7),
    "crdn-figure-7-noise": (18, 5),
    "crdn-figure-7-inu": (18, 3),
    "crdn-text-decay": (4, 2),
    "crdn-poster": (1, 1),
    "fcslstm-text-mpa": (3, 2),
    "fcslstm-text-size": (1, 2),
    "seranet-table-1": (15, 8),
    "seranet-table-2": (15, 8),
    "hlenet-table-1": (8, 6),
}


def table(name: str) -> PublishedTable:
    return next(table for table in published_tables() if table.id == name)


def number(name: str, row: str, column: str) -> float:
    found = table(name)
    cells = found.cells(next(r for r in found.rows if r.name == row))
    published = next(cell.published for cell in cells if cell.column.name == column)
    assert published is not None
    return published


def test_every_table_is_there_with_all_its_rows_and_columns():
    assert {t.id: (len(t.rows), len(t.columns)) for t in published_tables()} == SHAPES
    numbers = [c.printed for t in published_tables() for r in t.rows for c in t.cells(r)]
    # HLE-Net's others have no spleen (two numbers) and no parameters.
    assert len(numbers) == 27 + 77 + 90 + 54 + 8 + 1 + 6 + 2 + 120 + 120 + 48
    assert numbers.count(None) == 3 * 3


def test_every_file_of_the_folder_is_read():
    folder = resources.files("spinforge.evaluation.published")
    files = {path.name for path in folder.iterdir() if path.name.endswith(".yaml")}
    assert files == {f"{t.id}.yaml" for t in published_tables()} | {"datasets.yaml"}


@pytest.mark.parametrize("name", ["seranet-table-1", "seranet-table-2"])
@pytest.mark.parametrize("metric", ["Dice", "HD"])
def test_averages_are_those_of_the_tissues_but_for_one_misprint(name, metric):
    wrong = {}
    for row in table(name).rows:
        tissues = [number(name, row.name, f"{tissue} {metric}") for tissue in ("CSF", "GM", "WM")]
        printed = number(name, row.name, f"Avg {metric}")
        # Three rounded numbers and their rounded mean.
        if abs(sum(tissues) / 3 - printed) > 1e-4 + 1e-9:
            wrong[row.name] = round(sum(tissues) / 3, 4)
    misprint = (name, metric) == ("seranet-table-1", "Dice")
    assert wrong == ({"B SERANet-1": 0.8782} if misprint else {})


def test_seranet_gains_what_its_text_says():
    best, rival = "A SERANet-3++", "SegNetMRI"
    gain = {c: number("seranet-table-1", best, c) - number("seranet-table-1", rival, c)
            for c in ("Avg Dice", "Avg HD")}  # fmt: skip
    assert gain == {"Avg Dice": pytest.approx(0.0211), "Avg HD": pytest.approx(-0.2435)}


@pytest.mark.parametrize("encoder", ["VGG16", "ResNet50", "U-Net-like"])
@pytest.mark.parametrize("data", ["BrainWeb", "MRBrainS", "HVSMR"])
def test_table_2_of_crdn_has_the_best_cell_of_table_1_and_names_it(encoder, data):
    cells = {
        cell: number("crdn-table-1", f"Conv{cell} {encoder}", data)
        for cell in ("RNN", "LSTM", "GRU")
    }
    assert number("crdn-table-2", f"CRDN {encoder}", f"{data} Dice") == max(cells.values())
    found = table("crdn-table-2")
    row = next(r for r in found.rows if r.name == f"CRDN {encoder}")
    named = next(c.networks for c in found.cells(row) if c.column.name == f"{data} Dice")
    assert [name.rsplit("-", 1)[1].upper() for name in named] == [max(cells, key=cells.__getitem__)]


def test_crdn_gains_over_u_net_what_its_text_says():
    ours, rival = "CRDN U-Net-like", "U-Net"
    gain = {
        data: number("crdn-table-2", ours, f"{data} Dice")
        - number("crdn-table-2", rival, f"{data} Dice")
        for data in ("MRBrainS", "HVSMR")
    }
    assert gain == {"MRBrainS": pytest.approx(0.0091), "HVSMR": pytest.approx(0.0207)}


@pytest.mark.parametrize(
    ("figure_row", "table_row"),
    [
        ("FCN", "FCN VGG16"),
        ("SegNet", "SegNet VGG16"),
        ("CRDN", "CRDN VGG16"),
        ("ResNet50+RDC", "CRDN ResNet50"),
        ("UNet-Enc+RDC", "CRDN U-Net-like"),
    ],
)
def test_figure_7_without_corruption_is_table_2(figure_row, table_row):
    for metric in ("PA", "Dice"):
        clean = number("crdn-figure-7-inu", f"{figure_row} {metric}", "INU 0 %")
        assert clean == number("crdn-table-2", table_row, f"BrainWeb {metric}")


@pytest.mark.parametrize("name", ["crdn-figure-7-noise", "crdn-figure-7-inu"])
def test_jaccard_of_figure_7_fits_its_dice(name):
    for column in table(name).columns:
        for method in ("FCN", "SegNet", "U-Net", "CRDN", "ResNet50+RDC", "UNet-Enc+RDC"):
            dice = number(name, f"{method} Dice", column.name)
            jaccard = number(name, f"{method} Jaccard", column.name)
            # Exact for one class; both are means of four.
            assert jaccard == pytest.approx(dice / (2 - dice), abs=0.02)


def test_losses_of_crdn_s_text_are_those_of_figure_7_for_two_networks_only():
    said = {row.name: as_number(row.values.split()[0]) for row in table("crdn-text-decay").rows}
    seen = {
        method: 100 * (number("crdn-figure-7-noise", f"{method} Dice", "noise 1 %")
        - number("crdn-figure-7-noise", f"{method} Dice", "noise 9 %"))
        for method in said
    }  # fmt: skip
    assert seen == {m: pytest.approx(v) for m, v in
                    {"FCN": 1.11, "SegNet": 3.82, "U-Net": 3.30, "CRDN": 2.50}.items()}  # fmt: skip
    assert said == {"FCN": 1.11, "SegNet": 3.82, "U-Net": 2.85, "CRDN": 1.69}


def test_hle_net_gains_what_its_text_says():
    gain = {
        column: number("hlenet-table-1", "HLE-Net", column)
        - number("hlenet-table-1", rival, column)
        for column, rival in (
            ("Spleen Jaccard", "Unet-28"),
            ("ISIC Jaccard", "Unet-28"),
        )
    }
    assert gain == {"Spleen Jaccard": pytest.approx(0.045), "ISIC Jaccard": pytest.approx(0.034)}
    over_yuan = number("hlenet-table-1", "HLE-Net", "ISIC Jaccard") - number(
        "hlenet-table-1", "Yuan", "ISIC Jaccard"
    )
    assert over_yuan == pytest.approx(0.023)


def test_numbers_keep_their_decimals():
    assert [as_number(text) for text in ("0.9920", "14.87M", "5.9e6", "92")] == [
        0.992,
        14_870_000,
        5_900_000,
        92,
    ]
    assert [decimals(text) for text in ("0.9920", "14.87M", "5.9e6", "92")] == [4, 2, 1, 0]


def test_every_data_set_is_used_by_a_table():
    used = {c.data for t in published_tables() for c in t.columns if c.data is not None}
    assert used == set(datasets())
    assert [name for names in TABLES.values() for name in names] == [
        t.id for t in published_tables()
    ]


ONE = {"id": "x-1", "paper": "CRDN", "number": "1", "title": "t", "source": "s"}
COLUMN = {"name": "a", "data": "brainweb", "aggregation": "crdn", "metric": "dice"}
ROW = {"name": "r", "networks": ["crdn-vgg16-rnn"], "values": "0.5"}


@pytest.mark.parametrize(
    ("column", "row", "said"),
    [
        ({}, {"values": "0.5 0.6"}, "need 1 numbers"),
        ({}, {"values": "0,5"}, "need 1 numbers"),
        ({}, {"networks": ["crdn-vgg17-rnn"]}, "not in the catalogue: crdn-vgg17-rnn"),
        ({}, {"others": "somebody"}, "either networks or whose method"),
        ({}, {"notes": {"b": "?"}}, "which is no column"),
        ({}, {"metric": "dice"}, "said twice"),
        ({"data": "brainwb"}, {}, "not in datasets.yaml"),
        ({"counted": "parameters"}, {}, "either of data or counted"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(column, row, said):
    with pytest.raises(ValidationError, match=said):
        PublishedTable.model_validate(ONE | {"columns": [COLUMN | column], "rows": [ROW | row]})
    PublishedTable.model_validate(ONE | {"columns": [COLUMN], "rows": [ROW]})
