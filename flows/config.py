"""What a study file may say, and how it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.storage.addresses import redacted, without_secret
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.storage.locations import StoreAddress
from spinforge.flows.config_errors import explain
from spinforge.flows.dask_settings import DaskSettings
from spinforge.flows.study_file import apply_budget, apply_override, read_yaml
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.networks import NetworkConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.recipes import Recipe, TrainingConfig
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

Protocol = Literal["clean", "retrained"]

CorruptionSet = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9.-]+$", max_length=96)]
"""Name and strength of a corruption set."""


class Evaluation(Config):
    """How the trained networks are judged."""

    batch_size: int = Field(16, ge=1, le=1024, description="slices predicted at a time")


class Robustness(Config):
    """How `spinforge robustness` judges the networks under the study's corruptions."""

    protocols: tuple[Protocol, ...] = Field(
        ("clean",),
        min_length=1,
        description="clean: networks trained on clean images are tested at every level; retrained: "
        "another one is trained at each level and tested there, which takes as many trainings",
    )
    seeds: tuple[Annotated[int, Field(ge=0, le=2**63 - 1)], ...] | None = Field(
        None,
        min_length=1,
        description="seeds of the trainings, one of each network a seed; by default the study's",
    )
    baseline: str | None = Field(
        None, description="network whose errors are the unit of mCE; by default the first one"
    )

    @model_validator(mode="after")
    def _all_differ(self) -> "Robustness":
        for name in ("protocols", "seeds"):
            values = getattr(self, name) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice: {list(values)}")
        return self


class Tracking(Config):
    """Where MLflow keeps its record."""

    uri: Annotated[str, AfterValidator(without_secret)] | None = Field(
        None, description="MLflow tracking URI; by default an SQLite file in the out folder"
    )
    experiment: str = Field("spinforge", min_length=1, description="MLflow experiment")


class Study(Config):
    """One study: data, networks, training and evaluation. The defaults run offline."""

    name: str = Field(
        "quickstart",
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        max_length=64,
        description="name of the run's folder: lower case, digits, hyphen, underscore",
    )
    out: UserPath = Field(Path("runs"), description="folder that holds the folders of all runs")
    seed: int = Field(
        0,
        ge=0,
        le=2**63 - 1,
        description="seed of weights, training order and fresh training masks",
    )
    dataset: StoreAddress | None = Field(
        None,
        description="where the data set lies, if not in the run's folder: a folder, or a URL such "
        "as s3://bucket/set.zarr; studies with the same data may share it",
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=256,
        description="processes of this machine that simulate subjects; by default one a core, as "
        "far as its memory goes",
    )
    dask: DaskSettings = DaskSettings()
    data: Product = KSpaceProduct()
    corruptions: Corruptions = Corruptions()
    networks: tuple[NetworkConfig, ...] = Field(
        (UNetConfig(kind="unet", width=16), CRDNConfig(kind="crdn")),
        min_length=1,
        description="the networks to compare",
    )
    training: Recipe = TrainingConfig()
    evaluation: Evaluation = Evaluation()
    robustness: Robustness = Robustness()
    train_on: CorruptionSet | None = Field(
        None,
        description="corruption set that networks learn from and are validated on, such as "
        "noise/3, which `spinforge corrupt` has made; by default the clean images",
    )
    test_on: CorruptionSet | None = Field(
        None, description="corruption set whose test images are scored; by default the clean ones"
    )
    tracking: Tracking = Tracking()

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: tuple[NetworkConfig, ...]) -> tuple[NetworkConfig, ...]:
        names = [network.name for network in networks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two networks are named {', '.join(twice)}; give each its own `name`")
        return networks

    @model_validator(mode="after")
    def _baseline_is_there(self) -> "Study":
        names = [network.name for network in self.networks]
        if self.robustness.baseline not in (None, *names):
            raise ValueError(
                f"robustness.baseline: no network is named {self.robustness.baseline!r}; choose "
                f"one of {', '.join(names)}"
            )
        return self


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply `key=value` overrides.

    Args:
        path: YAML file; a study without a `name` has the file's, without its ending.
        overrides: Such as "training.epochs=5" or "networks.0.width=32"; values are YAML. One may
            be "budget=smoke": the changes that the file lists under `budgets.smoke` are made
            before the others, and the name of the study gets "-smoke" behind it.

    Raises:
        SpinforgeError: For a missing or empty file, a list of studies, bad YAML, an unknown key
            (with the nearest valid one), a value out of range (with its bounds), or a budget that
            the file does not have.
            All problems are listed at once.
    """
    content = read_yaml(path)
    if "studies" in content:
        raise SpinforgeError(f"{path} is a list of studies, which only `spinforge study` runs")
    if not content:
        raise SpinforgeError(f"study file {path} is empty; say at least its name, such as name: x")
    content.setdefault("name", path.stem)
    apply_budget(content, path, overrides)
    for override in overrides:
        apply_override(content, override)
    content.pop("budget", None)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        lines = explain(error, Study)
        where = str(path) if not overrides else f"{path} with {redacted(', '.join(overrides))}"
        raise SpinforgeError("\n".join([f"{where} is not a valid study:", *lines])) from None


def study_yaml(study: Study) -> str:
    """The resolved study as YAML that `load_study` reads back."""
    content = study.model_dump(mode="json")
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
