"""How a study file is read: plain YAML, changed by its budget and by the command line."""

import difflib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from spinforge.simulation.errors import SpinforgeError

FULL = "full"
"""The budget of a file as it stands."""


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


def read_yaml(path: Path) -> dict[str, Any]:
    """What a file says, nothing if it is empty.

    Raises:
        SpinforgeError: If it is missing, unreadable, no YAML, or says a key twice.
    """
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


def apply_budget(content: dict[str, Any], path: Path, overrides: Sequence[str]) -> None:
    """Make the changes of the chosen budget, and take `budget` and `budgets` out.

    A file may hold smaller versions of itself, each a mapping of dotted keys to values:

        budgets:
          smoke: {data.spacing_mm: 4, training.epochs: 2}

    The choice is `budget: smoke` in the file, or "budget=smoke" among the overrides. The name of
    the study gets "-smoke" behind it, so that the results of the budgets lie side by side.

    Args:
        content: Of the study file; changed.
        path: The file, for messages.
        overrides: Of the command line.

    Raises:
        SpinforgeError: If the file has no such budget, one of its changes leads nowhere, or an
            override would change a budget.
    """
    budgets = content.pop("budgets", None) or {}
    if not isinstance(budgets, dict) or not all(isinstance(b, dict) for b in budgets.values()):
        raise SpinforgeError(
            f"{path}: budgets must map names to changes, such as {{smoke: {{training.epochs: 2}}}}"
        )
    chosen = content.pop("budget", FULL)
    for override in overrides:
        if override.startswith("budget="):
            chosen = override.removeprefix("budget=")
        elif override.partition("=")[0].partition(".")[0] in ("budget", "budgets"):
            raise SpinforgeError(
                f"--set {override}: budgets are written in the study file; one of them is chosen "
                f"with --set budget=NAME"
            )
    if not isinstance(chosen, str):
        raise SpinforgeError(
            f"{path}: budget = {chosen!r} must be the name of one, such as budget: smoke"
        )
    if chosen == FULL:
        return
    if chosen not in budgets:
        known = ", ".join([FULL, *budgets])
        raise SpinforgeError(f"{path} has no budget {chosen!r}; it has {known}.")
    for key, value in budgets[chosen].items():
        _set(content, str(key), value, f"{path}, budgets.{chosen}, {key}")
    content["name"] = f"{content.get('name', path.stem)}-{chosen}"


def apply_override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key in place.

    Args:
        content: Of a study file.
        override: Such as "training.epochs=5"; the value is YAML.

    Raises:
        SpinforgeError: If it cannot be read, or its key leads nowhere.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpinforgeError(f"--set {override}: write it as key=value, e.g. training.epochs=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpinforgeError(f"--set {override}: the value is not valid YAML: {error}") from error
    _set(content, key, value, f"--set {override}")


def _set(content: dict[str, Any], key: str, value: Any, said: str) -> None:
    """Set one dotted key; `said` is how the user put it."""
    parts = key.split(".")
    place: Any = content
    for part, following in itertools.pairwise(parts):
        place = _child(place, part, following, said)
    last = parts[-1]
    if isinstance(place, list):
        place[_list_index(place, last, said)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise SpinforgeError(f"{said}: {place!r} has no keys")


def _child(place: Any, part: str, following: str, said: str) -> Any:
    if isinstance(place, list):
        return place[_list_index(place, part, said)]
    if not isinstance(place, dict):
        raise SpinforgeError(f"{said}: {part!r} is inside {place!r}, which has no keys")
    if place.get(part) is None:
        if following.isdigit():
            raise SpinforgeError(
                f"{said}: the file has no list {part!r} whose entry {following} could be "
                f"changed. Set the whole list, e.g. --set 'networks=[{{kind: unet, width: 8}}]'"
            )
        place[part] = {}
    return place[part]


def _list_index(items: list[Any], text: str, said: str) -> int:
    if not text.isdigit() or int(text) >= len(items):
        raise SpinforgeError(
            f"{said}: {text!r} is not the number of one of the {len(items)} entries "
            f"in the file (0 to {len(items) - 1})"
        )
    return int(text)
