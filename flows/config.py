"""What a study file may say, and how it is read."""

import difflib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.storage.locations import StoreAddress
from spinforge.flows.config_errors import explain
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.networks import NetworkConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.recipes import Recipe, TrainingConfig
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError


class Evaluation(Config):
    """How the trained networks are judged."""

    batch_size: int = Field(16, ge=1, le=1024, description="slices predicted at a time")


class Tracking(Config):
    """Where MLflow keeps its record."""

    uri: str | None = Field(
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
    workers: int = Field(2, ge=1, le=256, description="processes that simulate subjects")
    data: Product = KSpaceProduct()
    corruptions: Corruptions = Corruptions()
    networks: tuple[NetworkConfig, ...] = Field(
        (UNetConfig(kind="unet", width=16), CRDNConfig(kind="crdn")),
        min_length=1,
        description="the networks to compare",
    )
    training: Recipe = TrainingConfig()
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: tuple[NetworkConfig, ...]) -> tuple[NetworkConfig, ...]:
        names = [network.name for network in networks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two networks are named {', '.join(twice)}; give each its own `name`")
        return networks


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and apply `key=value` overrides.

    Args:
        path: YAML file.
        overrides: Such as "training.epochs=5" or "networks.0.width=32"; values are YAML.

    Raises:
        SpinforgeError: For a missing file, bad YAML, an unknown key (with the nearest valid
            one) or a value out of range (with its bounds). All problems are listed at once.
    """
    content = _read_yaml(path)
    for override in overrides:
        _override(content, override)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        lines = explain(error, Study)
        where = str(path) if not overrides else f"{path} with {', '.join(overrides)}"
        raise SpinforgeError("\n".join([f"{where} is not a valid study:", *lines])) from None


def study_yaml(study: Study) -> str:
    """The resolved study as YAML that `load_study` reads back."""
    content = study.model_dump(mode="json")
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error instead of a silent override."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        hint = f" Did you mean {path.with_name(near[0])}?" if near else ""
        raise SpinforgeError(f"study file {path} does not exist.{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpinforgeError(f"study file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SpinforgeError(f"study file {path} is not valid YAML:\n{error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SpinforgeError(f"study file {path} must hold `key: value` lines, not {content!r:.60}")
    return content


def _override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key in place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpinforgeError(f"--set {override}: write it as key=value, e.g. training.epochs=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpinforgeError(f"--set {override}: the value is not valid YAML: {error}") from error
    parts = key.split(".")
    place: Any = content
    for part, following in itertools.pairwise(parts):
        place = _child(place, part, following, override)
    last = parts[-1]
    if isinstance(place, list):
        place[_list_index(place, last, override)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise SpinforgeError(f"--set {override}: {place!r} has no keys")


def _child(place: Any, part: str, following: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_list_index(place, part, override)]
    if not isinstance(place, dict):
        raise SpinforgeError(f"--set {override}: {part!r} is inside {place!r}, which has no keys")
    if place.get(part) is None:
        if following.isdigit():
            raise SpinforgeError(
                f"--set {override}: the file has no list {part!r} whose entry {following} could be "
                f"changed. Set the whole list, e.g. --set 'networks=[{{kind: unet, width: 8}}]'"
            )
        place[part] = {}
    return place[part]


def _list_index(items: list[Any], text: str, override: str) -> int:
    if not text.isdigit() or int(text) >= len(items):
        raise SpinforgeError(
            f"--set {override}: {text!r} is not the number of one of the {len(items)} entries "
            f"in the file (0 to {len(items) - 1})"
        )
    return int(text)
