"""What is wrong with a study file, in the words of study files."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.storage.addresses import redacted
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.recipes import Recipe
from spinforge.simulation.corruption.corrupt import KINDS
from spinforge.simulation.sampling import LineSampling
from spinforge.simulation.sequences import PulseSequence

_UNIONS = (Product, NetworkConfig, Recipe, LineSampling, PulseSequence)
_OTHER_KINDS = set(KINDS)  # of corruptions; some of them are also names of fields


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each of pydantic's complaints: where, what was given, what is allowed.

    Args:
        error: Of reading a study.
        model: What was read.
    """
    found = error.errors()
    return [_explain(detail, model) for detail in found if not _is_consequence(detail, found)]


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


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = [part for part in detail["loc"]]
    owner = _model_at(model, location[:-1])
    readable = [
        str(part)
        for before, part in zip([None, *location], location, strict=False)
        if part not in _KINDS and not (part in _OTHER_KINDS and isinstance(before, int))
    ]
    where = ".".join(readable) or "study"
    if detail["type"] == "extra_forbidden" and owner is not None:
        # Of a whole file also what is taken out before.
        taken_out = ("budget", "budgets") if len(location) == 1 else ()
        names = list(dict.fromkeys([*owner.model_fields, *taken_out]))
        near = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        return f"  {where}: unknown key. {hint}Valid keys here: {', '.join(names)}."
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        kinds = [kind.strip(" '") for kind in context["expected_tags"].split(",")]
        near = difflib.get_close_matches(context["tag"], kinds, n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        known = ", ".join(kinds)
        named = [name for name in ("product", "recipe") if name in context["discriminator"]]
        told_by = named[0] if named else "kind"
        return f"  {where}.{told_by} = {context['tag']!r}: unknown {told_by}. {hint}Valid: {known}."
    field = owner.model_fields.get(str(location[-1])) if owner is not None and location else None
    bounds = f" (allowed: {_bounds(field)})" if field is not None and _bounds(field) else ""
    given = detail["input"]
    is_long = isinstance(given, dict) or (detail["type"] == "value_error" and len(location) < 2)
    shown = "" if is_long else f" = {redacted(repr(given))}"
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
    """What a study writes to choose this model: values of its `kind`, `product` or `recipe`."""
    model = get_args(model)[0] if get_origin(model) is Annotated else model
    fields = getattr(model, "model_fields", {})
    told_by = fields.get("kind") or fields.get("product") or fields.get("recipe")
    return set(get_args(told_by.annotation)) if told_by is not None else set()


# Pydantic puts the chosen one into an error's location; no user wrote it there.
_KINDS = {
    name
    for union in _UNIONS
    for model in get_args(get_args(union)[0]) or get_args(union)[:1]
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
