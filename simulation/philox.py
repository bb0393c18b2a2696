"""Fast random numbers for noise that is drawn anew each epoch and never stored.

`rng.py` draws what is stored, in double precision, so that its bytes never change. Here the same
idea, a function of a key and a counter whose key is the digest of the sample's path, in single
precision: a sample has its numbers whatever batch it is in. Used by
`datasets/reading/device_resident.py`
and `datasets/reading/simulated_slices.py`, for noise only; masks and all else come from `rng.py`.

On a GPU the numbers are Philox's, computed there for all samples of a batch at once. On the
processor that takes too long, so they are PyTorch's, whose generator is seeded for each sample:
other numbers, which the version in `requirements.lock` fixes. It takes 32 bits of the digest, so
two slices of an epoch share their noise once in thousands of epochs.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Complex, Int64
from torch import Tensor

DEVICE_RNG_SCHEME = "philox-blake2b-float32-v1"

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
    even, odd = counter[0::2], counter[1::2]
    weyl = torch.tensor(_WEYL).to(key.device, non_blocking=True).view(2, *[1] * (key.ndim - 1))
    for number in range(rounds):
        # Crosswise: each half's product goes to the other. Products wrap around in 64 signed bits,
        # which leaves their bits as they are, and what stands above 32 is masked off at the end of
        # each round, for `odd` at the end of all.
        product = torch.empty_like(even)
        torch.mul(even[1], _MULTIPLIERS[1], out=product[0])
        torch.mul(even[0], _MULTIPLIERS[0], out=product[1])
        even = (product >> 32).bitwise_xor_(odd).bitwise_xor_(key + number * weyl)
        even.bitwise_and_(_LOW)
        odd = product
    odd = odd & _LOW
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


def random_words(
    keys: Int64[Tensor, "4 sample"], rows: int, blocks: int
) -> Int64[Tensor, "4 sample {rows} {blocks}"]:
    """Words of each sample, on the keys' device: `rows` rows of `blocks` blocks of four.

    Half of a sample's digest is the key, the other half the counter's upper 64 bits; below these
    row and block are counted. So more rows leave the words of the first as they are.
    """
    n_samples = keys.shape[1]
    counter = torch.empty((4, n_samples, rows, blocks), dtype=torch.int64, device=keys.device)
    counter[0] = torch.arange(blocks, device=keys.device)
    counter[1] = torch.arange(rows, device=keys.device)[:, None]
    counter[2:] = keys[2:, :, None, None]
    return philox4x32(counter, keys[:2, :, None, None])


def complex_normals(
    keys: Int64[Tensor, "4 sample"], rows: int, count: int
) -> Complex[Tensor, "sample {rows} {count}"]:
    """Complex normal numbers, `rows` rows of `count`, by Box and Muller's transform.

    Both channels have unit variance. From 32 bits each: no modulus is beyond 6.7, where one of
    7 * 10^9 should be.
    """
    words = random_words(keys, rows, -(-count // 2))
    # A word near 2^32 rounds to it, and the radius to 0; a word of 0 gives the largest radius.
    radius = words[0::2].float().add_(0.5).mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
    angle = words[1::2].float().mul_(2.0**-31 * math.pi)
    both = torch.complex(radius * angle.cos(), radius * angle.sin())
    return torch.cat((both[0], both[1]), dim=-1)[..., :count]


def normals_here(key: Int64[Tensor, " 4"], rows: int, count: int) -> Complex[Tensor, "rows _count"]:
    """The same for one sample on the processor, in a quarter of the time; other numbers."""
    generator = torch.Generator().manual_seed(int(key[0]))
    return torch.view_as_complex(torch.randn((rows, count, 2), generator=generator))


def normals_of_samples(
    keys: Int64[Tensor, "4 sample"], rows: int, count: int
) -> Complex[Tensor, "sample {rows} {count}"]:
    """Complex normal numbers of unit variance in both channels, on the device of the keys.

    Those of a sample depend on its key alone; on the processor they are other numbers than on a
    GPU.
    """
    if keys.device.type == "cpu":
        return torch.stack([normals_here(key, rows, count) for key in keys.T])
    return complex_normals(keys, rows, count)


def noise_on_lines(
    keys: Int64[Tensor, "4 sample"],
    masks: Bool[Tensor, "sample ky"],
    shape: tuple[int, int],
    device: torch.device,
) -> Complex[Tensor, "line coil kx"]:
    """Noise of unit deviation on the acquired lines of a batch, in the order of the masks.

    A sample's noise depends on its key and its own mask, not on the others in the batch.

    Args:
        keys: Of `sample_keys`, on the processor.
        masks: Acquired lines, on the processor.
        shape: Coils and readout samples.
        device: Where the noise is wanted.
    """
    counts = masks.sum(1).tolist()
    width = shape[0] * shape[1]
    if device.type == "cpu":
        drawn = [normals_here(key, n, width) for key, n in zip(keys.T, counts, strict=True)]
        return torch.cat(drawn).unflatten(1, shape)
    drawn_there = complex_normals(keys.to(device, non_blocking=True), max(counts), width)
    sample, _ = masks.nonzero().unbind(1)
    rank = (masks.cumsum(1) - 1)[masks]
    # Sent without waiting for the device.
    sample, rank = (part.to(device, non_blocking=True) for part in (sample, rank))
    return drawn_there[sample, rank].unflatten(1, shape)
