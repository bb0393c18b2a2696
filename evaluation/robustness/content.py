"""What a robustness report and the dashboard show: plain data, gathered by the caller."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.robustness.long_table import CLEAN, TRAINED_CLEAN


@dataclass(frozen=True)
class Condition:
    """One trained network under one corruption: the keys of the long table that are no case.

    Attributes:
        model: Name of the network.
        transform: Name of the corruption, or "clean".
        severity: Its level, from 1; 0 for "clean".
        seed: Seed of the training.
        protocol: Trained on clean images, or on images corrupted like those it is tested on.
    """

    model: str
    transform: str = CLEAN
    severity: int = 0
    seed: int = 0
    protocol: str = TRAINED_CLEAN


@dataclass(frozen=True)
class RobustnessContent:
    """Everything about one robustness study.

    Attributes:
        name: Of the study.
        created: When it was gathered.
        table: The long table; one task, any number of networks, seeds, protocols and corruptions.
        strengths: (transform, severity) -> its strength in words, such as "level 3" or "5 %".
        transforms: Transform -> its chain of corruptions in words.
        networks: Network -> a description; in the order in which they are shown.
        baseline: The network whose errors are the unit of mCE.
        classes: Names of the classes, the background first.
        load_case: Loads (condition, subject, slice): the image as that network saw it, the true
            labels, and the network's own under its name.
        seen: What networks were shown, as the title of a picture.
        axes: How the pictures lie, in a sentence or two.
        configuration: The study file, YAML.
        provenance: Key -> value: versions, seeds, hashes, machine.
        runs: (network, seed) -> its run in MLflow, a URL or an id.
        files: Name -> path relative to the report.
    """

    name: str
    created: str
    table: pd.DataFrame
    strengths: dict[tuple[str, int], str]
    transforms: dict[str, str]
    networks: dict[str, str]
    baseline: str
    classes: tuple[str, ...]
    load_case: Callable[[Condition, str, int], CaseImages]
    seen: str
    axes: str
    configuration: str
    provenance: dict[str, str] = field(default_factory=dict)
    runs: dict[tuple[str, int], str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
