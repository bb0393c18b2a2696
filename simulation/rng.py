"""Counter-based random numbers, keyed by the path of the sample they belong to.

No generator is ever shared or advanced by another sample, so any worker count, chunk size,
order or resume draws the same numbers. NumPy fixes Philox's raw 64-bit stream for good but not
its distributions (NEP 19), so everything here is built from the raw stream.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

RNG_SCHEME = "philox-blake2b-v1"

_TWO_POW_MINUS_52 = 2.0**-52


class SampleRng:
    """Random numbers of one sample.

    Args:
        root_seed: Seed of the whole data set, a non-negative integer.
        path: What the numbers are for, such as ("dataset", "sub-04", "slice-12", "noise").

    Raises:
        ValueError: If a part of the path contains a slash, so that two paths would be the same.
    """

    def __init__(self, root_seed: int, *path: str | int) -> None:
        parts = [str(part) for part in path]
        if ambiguous := [part for part in parts if "/" in part]:
            raise ValueError(f"{ambiguous[0]!r}: no part of a path may contain a slash")
        key = "/".join(parts)
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        words = tuple(int(word) for word in np.frombuffer(digest, dtype="<u4"))
        sequence = np.random.SeedSequence(entropy=root_seed, spawn_key=words)
        self._philox = np.random.Philox(sequence)

    def uniforms(self, *shape: int) -> NDArray[np.float64]:
        """Uniform on the open interval (0, 1), so that a logarithm is always finite."""
        raw = self._philox.random_raw(math.prod(shape))
        # 52 bits, not 53: the half added to stay above 0 must not round the largest value to 1.
        high_bits = np.asarray(raw, dtype=np.uint64) >> np.uint64(12)
        return ((high_bits.astype(np.float64) + 0.5) * _TWO_POW_MINUS_52).reshape(shape)

    def normals(self, *shape: int) -> NDArray[np.float64]:
        """Standard normal, by Box and Muller's transform (Ann. Math. Stat. 29:610, 1958)."""
        count = math.prod(shape)
        pairs = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log(self.uniforms(pairs)))
        angle = 2.0 * np.pi * self.uniforms(pairs)
        both = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))
        return both[:count].reshape(shape)

    def gumbels(self, *shape: int) -> NDArray[np.float64]:
        """Standard Gumbel: the largest of `log_weight + gumbel` is a weighted random draw."""
        return -np.log(-np.log(self.uniforms(*shape)))

    def uniform(self, low: float, high: float) -> float:
        """One number, uniform between `low` and `high`."""
        return low + (high - low) * float(self.uniforms(1)[0])

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Random order of range(count)."""
        return np.argsort(self.uniforms(count), kind="stable")
