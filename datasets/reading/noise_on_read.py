"""Noise added when a noise-free k-space set is read: the bytes of the set made with that noise.

A set made with `noise.percent = 0` compresses better and serves every noise level. Its noise is a
function of the subject, the slice and the level, so it need not be stored; and what was stored can
be taken off again, to rounding.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise, draw_noise, noise_std, reference_signal
from spinforge.simulation.scan_parameters import ScanParameters, draw_scan_parameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS, with_factors


@dataclass(frozen=True)
class ReadNoise:
    """Noise of one subject's scan.

    Attributes:
        std: Standard deviation of the real and of the imaginary channel.
        percent: Level, part of the key of the random numbers.
        coil_correlation: Correlation of any two coils.
        drawn: The scan it belongs to.
    """

    std: float
    percent: float
    coil_correlation: float
    drawn: ScanParameters

    def negated(self) -> "ReadNoise":
        """The same noise, to be taken off by adding it."""
        return replace(self, std=-self.std)

    def of_slice(self, number: int, shape: tuple[int, ...]) -> NDArray[np.complex64]:
        """The noise of one slice, (coil, ky, kx), as `simulate_scan` draws it."""
        echo = self.drawn.sequence.echo_name
        rng = self.drawn.rng(f"slice-{number:03d}", "noise", echo, f"{self.percent:g}")
        return draw_noise(rng, shape, self.std, self.coil_correlation).numpy()


def read_noise(store: DatasetStore, subject: str, noise: Noise) -> ReadNoise:
    """What to add to a subject that was scanned without noise.

    Args:
        store: Its set.
        subject: Which one.
        noise: Level and reference wanted.

    Raises:
        SpinforgeError: If the set has noise already, or the reference is not defined for it.
    """
    recipe = _recipe(store)
    if recipe["noise"]["percent"] != 0:
        raise SpinforgeError(
            f"{store.path} was made with {recipe['noise']['percent']:g} % noise; noise can be "
            f"added on reading only to a set made with data.noise.percent = 0."
        )
    return _noise_of(store, subject, noise)


def stored_noise(store: DatasetStore, subject: str) -> ReadNoise | None:
    """The noise that a subject was scanned with; None if without any."""
    noise = Noise.model_validate(_recipe(store)["noise"])
    return _noise_of(store, subject, noise) if noise.percent else None


def _recipe(store: DatasetStore) -> dict[str, Any]:
    """What the set was made with."""
    recipe: dict[str, Any] = json.loads(store.attributes()["config"])
    return recipe


def _noise_of(store: DatasetStore, subject: str, noise: Noise) -> ReadNoise:
    recipe = _recipe(store)
    attributes = store.open_subject(subject).attrs.asdict()
    tissues = tuple(Tissue[name] for name in _relaxation(attributes))
    sequence = TypeAdapter[PulseSequence](PulseSequence).validate_python(recipe["scan"])
    scanner = Scanner.model_validate(recipe["scanner"])
    drawn = draw_scan_parameters(subject, tissues, sequence, scanner, seed=recipe["seed"])
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    amplitudes = nominal_amplitudes(drawn.sequence, properties, tissues)
    image = torch.from_numpy(store.read(subject, "image_clean"))
    reference = reference_signal(noise, drawn.sequence, tissues, amplitudes, image)
    std = noise_std(noise, reference, recipe["slices"]["thickness_mm"])
    return ReadNoise(std, noise.percent, scanner.coil_correlation, drawn)


def add_noise(kspace: NDArray[np.complex64], noise: ReadNoise) -> None:
    """Add a subject's noise to its k-space (slice, coil, ky, kx), in place."""
    for number, clean in enumerate(kspace):
        clean += noise.of_slice(number, clean.shape)


def _relaxation(attributes: dict[str, Any]) -> dict[str, Any]:
    """Tissues of the phantom, in the order of its membership axis."""
    relaxation: dict[str, Any] = attributes["relaxation"]
    return relaxation
