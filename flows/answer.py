"""What a command answers on standard output."""

import json
from typing import Any

import typer


def print_answer(content: dict[str, Any], as_json: bool) -> None:
    """Print the result of a command: JSON for a script, aligned lines for a person."""
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for line in _lines(content):
        typer.echo(line)


def _lines(content: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in content.items():
        if value is None:
            continue  # nothing to say; JSON has it as null
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            shown = _number(value) if isinstance(value, float) else value
            shown = ", ".join(map(str, shown)) if isinstance(shown, list) else shown
            lines.append(f"{indent}{key + ':':<16} {shown}")
    return lines


def _number(value: float) -> str:
    """Four decimals; of what is smaller, three digits."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.3g}"
