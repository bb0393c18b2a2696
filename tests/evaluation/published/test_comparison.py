"""Which of our networks stands beside which published number, and how it is called."""

import numpy as np
import pytest
from label_slices import disturbed, random_labels
from pydantic import TypeAdapter

from spinforge.datasets.corruption.settings import brainweb_chains
from spinforge.datasets.products.catalogue import Product
from spinforge.evaluation.published.comparison import ComparedTable, Ours, compare
from spinforge.evaluation.published.figures import CaseScores
from spinforge.evaluation.published.matching import Scored, condition_of
from spinforge.evaluation.published.tables import Condition, published_tables
from spinforge.evaluation.robustness.long_table import RETRAINED, TRAINED_CLEAN
from spinforge.evaluation.score import score_slices
from spinforge.models.counting import agrees
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.recipes import Recipe

PAPER = {
    "crdn": {"product": "crdn_brainweb", "subjects": {"train": 1}},
    "seranet": {
        "product": "seranet",
        "subjects": {"train": 15, "validation": 2, "test": 3},
        "scan": {"kind": "spin_echo", "tr_ms": 3000, "te_ms": 80, "variation": 0.05},
        "scanner": {"profile": "seranet"},
    },
}


@pytest.fixture(scope="module")
def scores() -> CaseScores:
    target = random_labels(4, (19, 23), seed=0)
    table = score_slices(
        disturbed(target),
        target,
        spacing_mm=(1.0, 1.0),
        subject="a",
        network="any name",
        slices=range(4),
    )
    return CaseScores(table)


@pytest.fixture
def scored(scores):
    """A function that makes one scored network, by default as a paper has it."""

    def make(network, data=None, training=None, *, paper="seranet", **fields) -> Scored:
        return Scored(
            run=fields.pop("run", "runs/x"),
            folder="networks/x",
            network=TypeAdapter(NetworkConfig).validate_python({"name": "my-own"} | network),
            data=TypeAdapter(Product).validate_python(PAPER[paper] | (data or {})),
            training=TypeAdapter(Recipe).validate_python({"recipe": paper} | (training or {})),
            seed=fields.pop("seed", 0),
            scores=scores,
            **fields,
        )

    return make


def compared(name: str, *scored: Scored) -> ComparedTable:
    return compare([t for t in published_tables() if t.id == name], scored)[0]


def found(table: ComparedTable) -> dict[tuple[str, str], list[Ours]]:
    """(Row, column) -> ours, where there is any."""
    return {
        (row.row.name, cell.cell.column.name): list(cell.ours)
        for row in table.rows
        for cell in row.cells
        if cell.ours and cell.cell.column.counted is None
    }


def rows_found(table: ComparedTable) -> set[str]:
    return {row for row, _ in found(table)}


def test_without_runs_nothing_is_run_and_all_is_counted():
    tables = compare(published_tables(), [])
    status = {row.status for table in tables for row in table.rows}
    assert status == {"not run", "others' method", "counted"}
    statuses = [c.status for t in tables for r in t.rows for c in r.cells]
    # HLE-Net's others have nine numbers and nine empty cells; three are of training data.
    assert statuses.count("others' method") == 9
    assert statuses.count("no number") == 9
    assert statuses.count("not comparable") == 3
    assert statuses.count("run") == 11 + 1 + 2 + 5  # counted
    (hle_net,) = (t for t in tables if t.table.id == "hlenet-table-1")
    assert hle_net.summary == (
        "0 of 5 rows run; not run: all; 3 more are others' methods, not ours."
    )


def test_parameters_are_those_the_papers_print():
    wrong = []
    for table in compare(published_tables(), []):
        for row in table.rows:
            for cell in row.cells:
                if cell.cell.column.counted == "parameters":
                    truncated = table.table.paper == "HLE-Net"
                    wrong += [
                        (table.table.id, row.row.name)
                        for ours in cell.ours
                        if not agrees(
                            cell.cell.printed, int(ours.figure.value), truncated=truncated
                        )
                    ]
    # The poster contradicts the paper.
    assert wrong == [("crdn-poster", "SegNet VGG16")]


def test_the_claims_about_fcslstm_s_size_are_both_exceeded():
    ((than_unet, than_fcn),) = (row.cells for row in compared("fcslstm-text-size").rows)
    assert than_unet.ours[0].figure.value == pytest.approx(33.5, abs=0.05)
    assert than_fcn.ours[0].figure.value == pytest.approx(145.1, abs=0.05)


SERANET = {"kind": "seranet", "recurrences": 3, "pretrained": True}


def test_a_network_is_told_by_its_settings_whatever_its_name(scored):
    for recurrences, pretrained, block, row in [
        (3, True, "autoencoder", "B SERANet-3++"),
        (3, False, "autoencoder", "B SERANet-3"),
        (3, True, "cnn", "A SERANet-3++"),
        (1, False, "cnn", "A SERANet-1"),
    ]:
        network = SERANET | {
            "recurrences": recurrences,
            "pretrained": pretrained,
            "reconstruction": {"block": block},
        }
        table = compared("seranet-table-1", scored(network | {"name": "seranet-2-a"}))
        assert rows_found(table) == {row}


def test_noise_tells_the_two_tables_of_seranet_apart(scored):
    network = {"kind": "zero_filling"}
    for percent, names in ((10, {"seranet-table-1"}), (20, {"seranet-table-2"}), (15, set())):
        one = scored(network, {"noise": {"percent": percent}})
        tables = ("seranet-table-1", "seranet-table-2")
        assert {name for name in tables if found(compared(name, one))} == names


def test_stand_ins_and_real_data_are_told_apart(scored):
    network = {"kind": "crdn", "encoder": "vgg16"}
    sources = {}
    for name, data in [
        ("procedural", {}),
        ("model", {"path": "b0"}),
        ("images", {"path": "b0", "images": "brainweb"}),
    ]:
        table = compared("crdn-table-1", scored(network, data, paper="crdn"))
        (ours,) = found(table)["ConvRNN VGG16", "BrainWeb"]
        sources[name] = ours.match.source.grade
        assert (table.rows[0].status, table.rows[0].grade) == ("partly", sources[name])
    assert sources == {
        "procedural": "stand-in",
        "model": "simulated here",
        "images": "the paper's data",
    }


def test_what_is_as_in_the_paper_has_no_changes_and_what_is_not_is_named(scored):
    network = {"kind": "zero_filling"}
    (same,) = found(compared("seranet-table-1", scored(network)))["Zero-filling", "CSF Dice"]
    assert same.match.changes == ()
    reduced = scored(network | {"width": 8}, {"sampling": {"keep": 0.25}}, {"epochs": 6})
    (ours,) = found(compared("seranet-table-1", reduced))["Zero-filling", "CSF Dice"]
    assert ours.match.changes == (
        "width 8 instead of 64",
        "data.sampling.keep 0.25 instead of 0.3",
        "training.epochs 6 instead of 50",
    )


def test_of_several_the_paper_like_come_first(scored):
    network = {"kind": "zero_filling"}
    real = {"phantom": "brainweb20", "path": "b20"}
    table = compared(
        "seranet-table-1",
        scored(network | {"width": 8}, run="narrow"),
        scored({"kind": "unet"}, run="from images"),
        scored(network, run="whole"),
        scored(network | {"width": 8}, real, run="real, narrow"),
    )
    ours = found(table)["Zero-filling", "Avg Dice"]
    assert [one.scored[0].run for one in ours] == ["real, narrow", "whole", "narrow", "from images"]


def test_seeds_become_one_figure_and_other_settings_do_not(scored):
    network = {"kind": "zero_filling"}
    many = [scored(network, seed=seed) for seed in (0, 1, 2, 2)]
    table = compared("seranet-table-1", *many, scored(network, training={"epochs": 6}))
    first, second = found(table)["Zero-filling", "Avg Dice"]
    assert [one.seed for one in first.scored] == [0, 1, 2]
    assert len(second.scored) == 1


def test_a_figure_is_that_of_the_paper_s_aggregation(scored):
    table = compared("crdn-table-2", scored({"kind": "crdn"}, paper="crdn"))
    ours = found(table)
    assert set(ours) == {("CRDN U-Net-like", "BrainWeb PA"), ("CRDN U-Net-like", "BrainWeb Dice")}
    target = random_labels(4, (19, 23), seed=0)
    accuracy = (disturbed(target) == target).mean()
    (one,) = ours["CRDN U-Net-like", "BrainWeb PA"]
    assert one.figure.value == pytest.approx(accuracy)
    assert np.isnan(one.figure.low)  # one subject
    row = table.rows[-1]
    assert row.cells[0].difference(one) == pytest.approx(accuracy - 0.9967)


def test_corrupted_images_stand_beside_figure_7_by_protocol(scored):
    network = {"kind": "crdn", "encoder": "vgg16"}
    noisy = Condition(noise_percent=3)
    ones = [
        scored(network, paper="crdn"),
        scored(network, paper="crdn", condition=noisy, protocol=TRAINED_CLEAN),
        scored(network, paper="crdn", condition=noisy, protocol=RETRAINED),
    ]
    ours = found(compared("crdn-figure-7-noise", *ones))
    assert {column for _, column in ours} == {"noise 3 %"}
    both = ours["CRDN Dice", "noise 3 %"]
    assert [one.protocol for one in both] == [RETRAINED, TRAINED_CLEAN]
    clean = found(compared("crdn-figure-7-inu", *ones))
    assert {column for _, column in clean} == {"INU 0 %"}
    assert len(clean["CRDN Dice", "INU 0 %"]) == 1
    assert len(found(compared("crdn-table-1", *ones))["ConvRNN VGG16", "BrainWeb"]) == 1


def test_a_loss_needs_both_of_its_ends_in_one_protocol(scored):
    network = {"kind": "encoder_decoder", "encoder": "vgg16", "decoder": "fcn"}
    clean = scored(network, paper="crdn")
    far = scored(network, paper="crdn", condition=Condition(inu_percent=40), protocol=RETRAINED)
    assert not found(compared("crdn-text-decay", clean))
    (ours,) = found(compared("crdn-text-decay", clean, far))["FCN", "INU"]
    assert (ours.figure.value, ours.protocol) == (0, RETRAINED)  # equal scores


def test_brainweb_s_sets_are_the_conditions_of_figure_7():
    conditions = {
        one.group: condition_of(one.chain)
        for chain in brainweb_chains()
        for one in chain.at_strengths((1, 2, 3), couple_levels=False, seed=0)
    }
    assert conditions["corrupt/rf0/0"] == Condition()
    assert conditions["corrupt/rf0/9"] == Condition(noise_percent=9)
    assert conditions["corrupt/rf40/0"] == Condition(inu_percent=40)
    assert conditions["corrupt/rf20/3"] == Condition(noise_percent=3, inu_percent=20)
