"""Which of our networks is which row, and what a study has otherwise than the paper.

Networks and data are told by their settings, never by their names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spinforge.datasets.products.catalogue import Product
from spinforge.evaluation.published.figures import CaseScores
from spinforge.evaluation.published.tables import (
    Cell,
    Condition,
    Grade,
    PublishedData,
    Source,
    datasets,
)
from spinforge.evaluation.robustness.long_table import TRAINED_CLEAN
from spinforge.models.catalogue import CATALOGUE
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.recipes import (
    MACHINE_FIELDS,
    CRDNTraining,
    FCSLSTMTraining,
    HLENetTraining,
    Recipe,
    SERANetTraining,
    TrainingConfig,
)
from spinforge.simulation.config import Config
from spinforge.simulation.corruption.corrupt import Corruption
from spinforge.simulation.corruption.intensity import INU_PERCENT, NonUniformity
from spinforge.simulation.corruption.noise import RICIAN_PERCENT, RicianNoise

CLEAN = Condition()
"""Images as they are."""

GIVEN = "given"
"""In `datasets.yaml`: anything but null."""

GRADES: tuple[Grade, ...] = ("the paper's data", "simulated here", "stand-in")

TELLING: Mapping[str, tuple[str, ...]] = {
    "crdn": ("encoder", "cell"),
    "encoder_decoder": ("encoder", "decoder"),
    "concise_fcn": ("shrink",),
    "fcslstm": ("bidirectional",),
    "two_step": ("reconstruction.block",),
    "joint": ("reconstruction.block",),
    "seranet": ("recurrences", "pretrained", "reconstruction.block"),
    "hle_net": ("enhance",),
}
"""Kind of network -> the settings that tell the papers' rows apart; others are changes of a row."""

_RECIPES: Mapping[str, TrainingConfig] = {
    "crdn": CRDNTraining(recipe="crdn"),
    "fcslstm": FCSLSTMTraining(recipe="fcslstm"),
    "seranet": SERANetTraining(recipe="seranet"),
    "hlenet": HLENetTraining(recipe="hlenet"),
}


@dataclass(frozen=True)
class Scored:
    """A trained network of a study, and its scores.

    Attributes:
        run: The study's folder.
        folder: The network's, within it.
        network: Its settings.
        data: The study's data.
        training: Its recipe.
        seed: Of weights and order.
        scores: Of every case.
        condition: What was done to the images it was scored on.
        protocol: Trained on clean images, or on images corrupted like those it was scored on.
    """

    run: str
    folder: str
    network: NetworkConfig
    data: Product
    training: Recipe
    seed: int
    scores: CaseScores
    condition: Condition = CLEAN
    protocol: str = TRAINED_CLEAN


@dataclass(frozen=True)
class Match:
    """What stands beside a published number.

    Attributes:
        likeness: Place of the network among those that the row may be; 0 is the likeliest.
        entry: Its name in the catalogue.
        source: Where the images come from.
        changes: What is not as in the paper, such as "width 8 instead of 64".
    """

    likeness: int
    entry: str
    source: Source
    changes: tuple[str, ...]

    @property
    def order(self) -> tuple[int, int, int]:
        """Smaller is more like the paper."""
        return GRADES.index(self.source.grade), self.likeness, len(self.changes)


def condition_of(chain: Iterable[Corruption]) -> Condition | None:
    """What a chain of corruptions does, as papers say it; None if there is more to it."""
    percent = {"noise_percent": 0.0, "inu_percent": 0.0}
    for corruption in chain:
        match corruption:
            case _ if corruption.is_nothing:
                continue
            case RicianNoise():
                name, value = "noise_percent", corruption.percent_of(RICIAN_PERCENT)
            case NonUniformity():
                name, value = "inu_percent", corruption.percent_of(INU_PERCENT)
            case _:
                return None
        if percent[name] or value < 0:  # twice, or a field turned over
            return None
        percent[name] = value
    return Condition(**percent)


def match(cell: Cell, scored: Scored) -> Match | None:
    """How a scored network is the row and the data of a published number; None if it is not."""
    if cell.column.data is None:
        return None
    wanted = datasets()[cell.column.data]
    data = flat(scored.data)
    if data["product"] != wanted.product or not _has(data, wanted.must):
        return None
    network = flat(scored.network)
    for likeness, name in enumerate(cell.networks):
        entry = next(entry for entry in CATALOGUE if entry.name == name)
        expected = flat(entry.config)
        if all(network.get(key) == expected[key] for key in _telling(entry.config.kind)):
            changes = (
                *_changes(network, {k: v for k, v in expected.items() if k != "name"}),
                *_changes(data, wanted.usual, "data."),
                *_training_changes(wanted, scored.training),
            )
            return Match(likeness, name, _source(data, wanted), changes)
    return None


def flat(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value of all settings, those at their defaults too."""
    values: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def _telling(kind: str) -> tuple[str, ...]:
    return ("kind", *TELLING.get(kind, ()))


def _has(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(
        values.get(key) is not None if value == GIVEN else _same(values.get(key), value)
        for key, value in wanted.items()
    )


def _same(value: Any, wanted: Any) -> bool:
    return bool(_plain(value, wanted) == wanted)


def _plain(value: Any, wanted: Any) -> Any:
    """Named subjects are as many as they are; tuples are YAML's lists."""
    if isinstance(value, tuple):
        return len(value) if isinstance(wanted, int) else list(value)
    return value


def _source(data: Mapping[str, Any], wanted: PublishedData) -> Source:
    return next(source for source in wanted.sources if _has(data, source.when))


def _changes(
    found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = ""
) -> tuple[str, ...]:
    return tuple(
        f"{prefix}{key} {_text(_plain(found.get(key), value))} instead of {_text(value)}"
        for key, value in wanted.items()
        if not _same(found.get(key), value)
    )


def _training_changes(wanted: PublishedData, training: Recipe) -> tuple[str, ...]:
    """Against the paper's recipe, and not where or how it was computed."""
    left_out = MACHINE_FIELDS | {"recipe"}
    found = {k: v for k, v in flat(training).items() if k not in left_out}
    paper = {k: v for k, v in flat(_RECIPES[wanted.recipe]).items() if k not in left_out}
    return _changes(found, paper, "training.")


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
