"""What of a study is looked at."""

from dataclasses import dataclass

import pandas as pd

from spinforge.evaluation.dashboard.parquet_rows import TableFacts, Unit
from spinforge.evaluation.metric_direction import LARGER_IS_BETTER
from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN, TRAINED_CLEAN
from spinforge.evaluation.score import ALL
from spinforge.simulation.errors import SpinforgeError

METRIC_NAMES = {
    "dice": "Dice",
    "jaccard": "Jaccard index",
    "hd95_mm": "HD95 [mm]",
    "hausdorff_mm": "Hausdorff distance [mm]",
    "assd_mm": "ASSD [mm]",
    "hd_rows": "Hausdorff distance of rows",
    "surface_dice_1mm": "Surface Dice at 1 mm",
    "pixel_accuracy": "Pixel accuracy",
    "mean_pixel_accuracy": "Mean pixel accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "volume_difference": "Volume difference",
    "ece": "Expected calibration error",
    "psnr_db": "PSNR [dB]",
    "ssim": "Structural similarity",
    "nrmse": "NRMSE",
}


@dataclass(frozen=True)
class Choice:
    """One view of a study; everything on a page follows from it.

    Attributes:
        networks: In the order of the study.
        transforms: Corruptions, in the order of the study.
        tissue: Class, or "all": the mean of the tissues.
        metric: One of the table.
        unit: Cases are slices or volumes.
        protocol: How the networks were trained.
        seeds: Of the training.
    """

    networks: tuple[str, ...]
    transforms: tuple[str, ...]
    tissue: str
    metric: str
    unit: Unit
    protocol: str
    seeds: tuple[int, ...]

    @property
    def in_words(self) -> str:
        """For the line above every figure."""
        seeds = ", ".join(map(str, self.seeds))
        return (
            f"{metric_name(self.metric)} of {tissue_name(self.tissue)} in {self.unit}s; networks "
            f"{self.protocol}, seed{'s' if len(self.seeds) > 1 else ''} {seeds}"
        )


def metric_name(metric: str) -> str:
    """As people call it."""
    return METRIC_NAMES.get(metric, metric)


def counted(number: int, thing: str) -> str:
    """Such as "1 seed" or "2 seeds"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def tissue_name(tissue: str) -> str:
    """As people call it."""
    return "all tissues (mean)" if tissue == ALL else tissue


def known_metrics(facts: TableFacts) -> list[str]:
    """Metrics of which it is known which way is better; Dice first.

    Raises:
        SpinforgeError: If there is none.
    """
    known = [name for name in facts.metrics if name in LARGER_IS_BETTER]
    if not known:
        raise SpinforgeError(
            f"the table has no metric of which it is known which way is better, only "
            f"{', '.join(facts.metrics) or 'no row'}. Run the study again"
        )
    return sorted(known, key=lambda name: (name != "dice", metric_name(name)))


def tissues(facts: TableFacts, content: RobustnessContent, metric: str) -> list[str]:
    """Those that have a metric: their mean first, then in the order of the classes."""
    there = facts.classes_of(metric)
    named = [name for name in (ALL, *content.classes[1:]) if name in there]
    return [*named, *(name for name in there if name not in named)]


def networks(facts: TableFacts, content: RobustnessContent) -> list[str]:
    """In the order of the study."""
    named = [name for name in content.networks if name in facts.models]
    return [*named, *(name for name in facts.models if name not in named)]


def transforms(facts: TableFacts, content: RobustnessContent) -> list[str]:
    """Corruptions in the order of the study."""
    there = [name for name in facts.transforms if name != CLEAN]
    named = [name for name in content.transforms if name in there]
    return [*named, *(name for name in there if name not in named)]


def protocols(facts: TableFacts) -> list[str]:
    """Trained clean first."""
    return sorted(facts.protocols, key=lambda name: (name != TRAINED_CLEAN, name))


def headline(facts: TableFacts, content: RobustnessContent) -> Choice:
    """What is looked at first: Dice of all tissues in all of the study."""
    metric = known_metrics(facts)[0]
    return Choice(
        networks=tuple(networks(facts, content)),
        transforms=tuple(transforms(facts, content)),
        tissue=tissues(facts, content, metric)[0],
        metric=metric,
        unit=facts.units[0],
        protocol=protocols(facts)[0],
        seeds=facts.seeds,
    )


def chosen_rows(rows: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Rows of one metric and unit, less what was not chosen.

    Clean images belong to every corruption. Networks that were retrained at each level have clean
    rows only as trained clean, unless the study says otherwise.
    """
    of_tissue = rows[rows["class"] == choice.tissue]
    rows = of_tissue[
        of_tissue["model"].isin(choice.networks) & of_tissue["seed"].isin(choice.seeds)
    ]
    clean = rows["transform"] == CLEAN
    own = rows["protocol"] == choice.protocol
    if not (clean & own).any():
        own |= clean & (rows["protocol"] == TRAINED_CLEAN)
    wanted = own & (clean | rows["transform"].isin(choice.transforms))
    return rows[wanted].assign(protocol=choice.protocol)


def with_order(table: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Sorted as networks and corruptions are chosen."""
    keys = {name: place for place, name in enumerate((*choice.networks, *choice.transforms))}
    columns = [name for name in ("model", "transform") if name in table]
    places = [table[name].astype(object).map(keys) for name in columns]
    order = pd.concat(places, axis=1).sort_values(columns, kind="stable").index
    return table.loc[order].reset_index(drop=True)
