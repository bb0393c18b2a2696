"""What every configuration shares: frozen, strict, and hashable by content."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of everything that may stand in a study file.

    Frozen, so that what was hashed is what runs; unknown keys are errors, so that a typing
    mistake cannot silently fall back to a default.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a password may stand there
    )


def canonical_json(content: dict[str, Any]) -> str:
    """One text per content: sorted keys, no spaces, shortest round-trip floats."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(content: dict[str, Any]) -> str:
    """SHA-256 (64 hexadecimal digits) of the canonical JSON of `content`."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
