"""Several trained networks that answer as one: the mean of their probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.models.inference import final_logits, network_input, probabilities_of
from spinforge.models.networks import KSpaceNetwork, SequenceNetwork
from spinforge.models.weights import LoadedNetwork, load_network
from spinforge.simulation.errors import SpinforgeError

_MAY_DIFFER = {"acquired"}
"""Of what networks were shown: how many lines were acquired says how hard it was, no more."""


@dataclass(frozen=True)
class Ensemble:
    """One network or more that read the same and tell the same classes apart.

    Attributes:
        networks: In evaluation mode.
        reads: What all of them were shown in training.
    """

    networks: tuple[LoadedNetwork, ...]
    reads: SliceFormat

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ..."""
        return self.reads.class_names

    @property
    def starts_from_kspace(self) -> bool:
        """Whether the networks take acquired lines themselves, and not their image."""
        return isinstance(self.networks[0].config, KSpaceNetwork)

    @property
    def reads_sequences(self) -> bool:
        """Whether the networks take the scans of several ages together."""
        return isinstance(self.networks[0].config, SequenceNetwork)


class Answer(NamedTuple):
    r"""What an ensemble makes of a batch.

    With the mean $\bar p$ of the networks' probabilities $p_m$ and Shannon's entropy
    $H(p) = -\sum_k p_k \ln p_k$ [nat], from 0 to $\ln n$ of n classes:

    Attributes:
        probabilities: $\bar p$, (item, class, ky, kx).
        entropy: $H(\bar p)$, (item, ky, kx): how unsure the ensemble is.
        mutual_information: $H(\bar p) - \frac{1}{M}\sum_m H(p_m)$, (item, ky, kx): how far that
            is because its networks disagree; 0 of a single one.

    Source:
        Depeweg et al., "Decomposition of uncertainty in Bayesian deep learning for efficient and
        risk-sensitive learning" (ICML 2018), section 3.
    """

    probabilities: Float32[Tensor, "item class ky kx"]
    entropy: Float32[Tensor, "item ky kx"]
    mutual_information: Float32[Tensor, "item ky kx"]


def load_ensemble(paths: Sequence[Path]) -> Ensemble:
    """Read the files of one network or more.

    Args:
        paths: Files that `save_network` wrote, each once.

    Returns:
        The networks in the order given, on the processor.

    Raises:
        SpinforgeError: If there is none, one is given twice, is missing or damaged, does not say
            what it reads, or two do not go together.
    """
    if not paths:
        raise SpinforgeError("name at least one network file")
    files = [path.resolve() for path in paths]
    for number, (path, file) in enumerate(zip(paths, files, strict=True)):
        if file in files[:number]:
            raise SpinforgeError(
                f"{path} is given twice as a network, which would count it twice in the mean; "
                f"leave one out"
            )
    return ensemble_of({str(path): load_network(path) for path in paths})


def ensemble_of(networks: Mapping[str, LoadedNetwork]) -> Ensemble:
    """Networks that answer as one.

    Args:
        networks: What to call each in messages -> network.

    Returns:
        The networks in the order given.

    Raises:
        SpinforgeError: If one does not say what it reads, or two do not go together.
    """
    checked = {name: _checked(name, network) for name, network in networks.items()}
    (first, reads), *others = checked.items()
    for name, other in others:
        _require_alike((first, reads), (name, other))
        kinds = [isinstance(networks[n].config, SequenceNetwork) for n in (first, name)]
        if kinds[0] != kinds[1]:
            raise SpinforgeError(
                f"{first} and {name} do not make an ensemble: one reads sequences, one does not"
            )
    return Ensemble(tuple(networks.values()), reads)


def _checked(name: str, network: LoadedNetwork) -> SliceFormat:
    """What a network reads, found to fit it."""
    reads = network.reads
    if reads is None:
        raise SpinforgeError(
            f"{name} does not say what its images must be: it was written before that was noted, "
            f"or trained outside of a study. Train it again with: spinforge train"
        )
    classes = max(network.n_classes, 2)  # a network of the foreground has a background too
    if (len(reads.channels), len(reads.class_names)) != (network.in_channels, classes):
        raise SpinforgeError(
            f"{name} contradicts itself: it has {network.in_channels} channels and {classes} "
            f"classes, but notes {', '.join(reads.channels)} and {', '.join(reads.class_names)}"
        )
    return reads


def _require_alike(one: tuple[str, SliceFormat], other: tuple[str, SliceFormat]) -> None:
    for field in SliceFormat.model_fields.keys() - _MAY_DIFFER:
        first, second = getattr(one[1], field), getattr(other[1], field)
        if first != second:
            raise SpinforgeError(
                f"{one[0]} and {other[0]} do not make an ensemble: their {field} differ, "
                f"{_shown(first)} and {_shown(second)}"
            )


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def answer(ensemble: Ensemble, batch: Mapping[str, Tensor]) -> Answer:
    """Ask every network about a batch.

    Args:
        ensemble: On the device of the batch.
        batch: As for `network_input`.

    Returns:
        Probabilities and how sure they are, on the same device.

    Raises:
        SpinforgeError: If the batch is not of the kind that the networks read.
    """
    mean: Tensor | float = 0.0
    own_entropy: Tensor | float = 0.0
    for loaded in ensemble.networks:
        logits = final_logits(loaded.network(network_input(loaded.config, batch)))
        probabilities = probabilities_of(logits)
        mean = mean + probabilities
        own_entropy = own_entropy + entropy_of(probabilities)
    count = len(ensemble.networks)
    mean = torch.as_tensor(mean) / count
    entropy = entropy_of(mean)
    # Rounding may leave less than nothing.
    information = (entropy - own_entropy / count).clamp_min(0)
    return Answer(mean, entropy, information)


def entropy_of(
    probabilities: Float32[Tensor, "*item class ky kx"],
) -> Float32[Tensor, "*item ky kx"]:
    r"""Shannon's entropy $-\sum_k p_k \ln p_k$ over the classes [nat]; 0 ln 0 is 0."""
    return torch.special.entr(probabilities).sum(-3)
