"""Random numbers on any device: Philox, a function of a key and a counter.

`rng.py` draws what is stored, on the processor, in double precision. Where a batch is made anew
each epoch on a GPU, the numbers are drawn there: the same counter-based idea, in 32-bit words and
single precision, the key being again the digest of the sample's path. So a sample has its numbers
whatever batch it is in. Used by `datasets/device_resident.py` and `datasets/on_the_fly.py` for
noise only. Words are the same on every device; normal numbers, of each device's logarithm and
cosine, are the same bit for bit on one kind of device, and to single precision between kinds.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

DEVICE_RNG_SCHEME = "philox4x32-10-blake2b-v1"

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF

Words = Int64[Tensor, "*shape"]
"""Unsigned 32-bit numbers, in the 64-bit integers that every device can multiply."""


def philox4x32(
    counter: Int64[Tensor, " four *shape"], key: Int64[Tensor, " two *#shape"], *, rounds: int = 10
) -> Int64[Tensor, " four *shape"]:
    """Four random 32-bit words for each counter.

    Args:
        counter: 128 bits, the least significant word first; every word below 2^32.
        key: 64 bits, likewise.
        rounds: Ten as the authors recommend; seven pass the same statistical tests.

    Source:
        Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), sec. 3.3 and 4.3.
    """
    even, odd = counter[0::2].clone(), counter[1::2].clone()
    product = torch.empty_like(even)
    for number in range(rounds):
        # Crosswise: each half's product goes to the other. It wraps around in 64 signed bits,
        # which leaves its bits as they are; the mask undoes the shift's extension of the sign.
        torch.mul(even[1], _MULTIPLIERS[1], out=product[0])
        torch.mul(even[0], _MULTIPLIERS[0], out=product[1])
        even = (product >> 32).bitwise_xor_(odd)
        for half, weyl, word in zip(even, _WEYL, key, strict=True):
            half.bitwise_xor_(word + number * weyl)
        even.bitwise_and_(_LOW)
        odd = product & _LOW
    return torch.stack((even[0], odd[0], even[1], odd[1]))


def sample_keys(paths: Sequence[tuple[str | int, ...]], *, seed: int) -> Int64[Tensor, "4 sample"]:
    """The four key words of each sample, on the processor.

    Args:
        paths: Path of each sample, such as ("training", "sub-04", "slice-012", "epoch-3", "noise").
        seed: Root seed.

    Raises:
        ValueError: If a part of a path contains a slash, so that two paths would be the same.
    """
    words = []
    for path in paths:
        parts = [str(seed), *map(str, path)]
        if ambiguous := [part for part in parts if "/" in part]:
            raise ValueError(f"{ambiguous[0]!r}: no part of a path may contain a slash")
        digest = hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()
        words.append([int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)])
    return torch.tensor(words, dtype=torch.int64).reshape(-1, 4).T.contiguous()


def random_words(keys: Int64[Tensor, "4 sample"], count: int) -> Int64[Tensor, "sample _count"]:
    """`count` words of each sample, on the keys' device.

    Half of a sample's digest is the key, the other half the counter's upper 64 bits; the lower
    ones count blocks of four words, so that a longer draw begins with a shorter one's words.
    """
    blocks = -(-count // 4)
    n_samples = keys.shape[1]
    counter = torch.zeros((4, n_samples, blocks), dtype=torch.int64, device=keys.device)
    counter[0] = torch.arange(blocks, device=keys.device)
    counter[2:] = keys[2:, :, None]
    words = philox4x32(counter, keys[:2, :, None])
    return words.permute(1, 2, 0).reshape(n_samples, 4 * blocks)[:, :count]


def normals(keys: Int64[Tensor, "4 sample"], *shape: int) -> Float[Tensor, " sample *_shape"]:
    """Standard normal float32 numbers of each sample, by Box and Muller's transform.

    From 24 bits each: none is beyond 5.9, where 4 in 10^9 should be.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    # A radius and an angle side by side, so that a longer draw begins with a shorter one.
    words = random_words(keys, 2 * pairs).reshape(-1, pairs, 2)
    uniform = ((words >> 8).float() + 0.5).mul_(2.0**-24)
    radius = uniform[..., 0].log().mul_(-2.0).sqrt_()
    angle = uniform[..., 1] * (2.0 * math.pi)
    both = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
    return both.reshape(-1, 2 * pairs)[:, :count].reshape(-1, *shape)
