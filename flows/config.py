"""What a study file may say, and how it is read."""

import difflib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from spinforge.datasets.corruption.settings import Corruptions
from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.storage.locations import StoreAddress
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.networks import ImageNetworkConfig, KSpaceNetwork, SequenceNetwork
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.recipes import TrainingConfig
from spinforge.simulation.config import Config
from spinforge.simulation.corruption.corrupt import KINDS
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sampling import LineSampling
from spinforge.simulation.sequences import PulseSequence

_READS = {"k-space": KSpaceNetwork, "sequences of images": SequenceNetwork}
_UNIONS = (Product, ImageNetworkConfig, LineSampling, PulseSequence)
_OTHER_KINDS = set(KINDS)  # of corruptions; some of them are also names of fields


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
    networks: tuple[ImageNetworkConfig, ...] = Field(
        (UNetConfig(kind="unet", width=16), CRDNConfig(kind="crdn")),
        min_length=1,
        description="the networks to compare",
    )
    training: TrainingConfig = TrainingConfig()
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()

    @field_validator("networks")
    @classmethod
    def _names_differ(
        cls, networks: tuple[ImageNetworkConfig, ...]
    ) -> tuple[ImageNetworkConfig, ...]:
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
        found = error.errors()
        lines = [_explain(detail) for detail in found if not _is_consequence(detail, found)]
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


def _is_consequence(detail: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Whether a complaint only follows from another one.

    A list that lost a wrong entry is not too short besides, and a default that depends on a wrong
    value is no mistake of its own.
    """
    if detail["type"] == "default_factory_not_called":
        return True
    inside = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(inside)] == inside for other in found if other is not detail
    )


def _explain(detail: ErrorDetails) -> str:
    """One line for one of pydantic's complaints: where, what was given, what is allowed."""
    location = [part for part in detail["loc"]]
    owner = _model_at(Study, location[:-1])
    readable = [
        str(part)
        for before, part in zip([None, *location], location, strict=False)
        if part not in _KINDS and not (part in _OTHER_KINDS and isinstance(before, int))
    ]
    where = ".".join(readable) or "study"
    if detail["type"] == "extra_forbidden" and owner is not None:
        names = list(owner.model_fields)
        near = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        return f"  {where}: unknown key. {hint}Valid keys here: {', '.join(names)}."
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        kinds = [kind.strip(" '") for kind in context["expected_tags"].split(",")]
        if (reads := _UNTRAINED.get(context["tag"])) is not None:
            return (
                f"  {where}.kind = {context['tag']!r}: this network reads {reads}, which a study "
                f"does not train yet. Valid: {', '.join(kinds)}."
            )
        near = difflib.get_close_matches(context["tag"], kinds, n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        known = ", ".join(kinds)
        told_by = "product" if "product" in context["discriminator"] else "kind"
        return f"  {where}.{told_by} = {context['tag']!r}: unknown {told_by}. {hint}Valid: {known}."
    field = owner.model_fields.get(str(location[-1])) if owner is not None and location else None
    bounds = f" (allowed: {_bounds(field)})" if field is not None and _bounds(field) else ""
    given = detail["input"]
    is_long = isinstance(given, dict) or (detail["type"] == "value_error" and len(location) < 2)
    shown = "" if is_long else f" = {given!r}"
    return f"  {where}{shown}: {_plainly(detail, field)}{bounds}"


def _plainly(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """Pydantic's complaint in the words of a study file."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            choices = get_args(field.annotation) if field is not None else ()
            return "must be given" + (f": {', '.join(map(str, choices))}" if choices else "")
        case "union_tag_not_found":
            return (
                f"lacks {context['discriminator'].replace(chr(39), chr(96))}, which says what it is"
            )
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of keys to values, such as {kind: ...}"
        case "string_pattern_mismatch" if context["pattern"].startswith("^[a-z0-9]"):
            others = "hyphens and underscores" if "_" in context["pattern"] else "hyphens"
            return f"must be lower-case letters and digits, and after the first also {others}"
        case "too_short" | "too_long":
            limit = context.get("min_length", context.get("max_length"))
            bound = "at least" if detail["type"] == "too_short" else "at most"
            return f"needs {bound} {limit}, not {context['actual_length']}"
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _bounds(field: FieldInfo) -> str:
    """Such as `> 0, <= 1`, from a field's own constraints."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    parts = []
    for constraint in field.metadata:
        for name, sign in signs.items():
            if (limit := getattr(constraint, name, None)) is not None:
                parts.append(f"{sign} {limit:g}" if limit < 2**53 else f"{sign} {limit}")
    return ", ".join(parts)


def _names_of(model: Any) -> set[Any]:
    """What a study writes to choose this model: the values of its `kind` or `product`."""
    model = get_args(model)[0] if get_origin(model) is Annotated else model
    fields = getattr(model, "model_fields", {})
    told_by = fields.get("kind") or fields.get("product")
    return set(get_args(told_by.annotation)) if told_by is not None else set()


# Pydantic puts the chosen one into an error's location; no user wrote it there.
_KINDS = {
    name
    for union in _UNIONS
    for model in get_args(get_args(union)[0]) or get_args(union)[:1]
    for name in _names_of(model)
}

# Kinds of networks that a study cannot hold, and what they read instead of images.
_UNTRAINED = {
    name: reads
    for reads, networks in _READS.items()
    for model in get_args(networks) or (networks,)
    for name in _names_of(model)
}


def _model_at(annotation: Any, location: Sequence[str | int]) -> type[BaseModel] | None:
    """Follow one of pydantic's error locations to the model it points into."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _model_at(get_args(annotation)[0], location)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            return annotation
        field = annotation.model_fields.get(str(location[0]))
        return _model_at(field.annotation, location[1:]) if field is not None else None
    if origin is tuple and location and isinstance(location[0], int):
        return _model_at(get_args(annotation)[0], location[1:])
    if origin in (Union, type(int | str)):
        for choice in get_args(annotation):
            if location and location[0] in _names_of(choice):
                return _model_at(choice, location[1:])
    return None
