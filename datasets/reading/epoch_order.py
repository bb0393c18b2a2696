"""In which order an epoch visits the slices of a set."""

from spinforge.simulation.rng import SampleRng


def epoch_order(seed: int, epoch: int, n_slices: int) -> list[int]:
    """Positions of the slices, shuffled; a function of seed and epoch alone.

    Args:
        seed: Of the training.
        epoch: Counted from 0.
        n_slices: Length of the set.
    """
    rng = SampleRng(seed, "training", "order", epoch)
    return [int(position) for position in rng.permutation(n_slices)]
