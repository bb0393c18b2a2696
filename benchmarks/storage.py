"""What storing and verifying cost, beside what no store could do without.

    python benchmarks/storage.py [FOLDER]

One subject of SERANet's size. CPU time, because the machine may be shared: of a write, beside that
of writing the same bytes raw and hashing them twice, as values and as files; of `verify`, beside
hashing them twice. The rest is compression, and Python's work on each chunk. Fails if either costs
more than 6 times its lower bound; measured 2 to 5.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import MATRIX, best_seconds

from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.storage.verify import verify_subject

SLICES = 57
LIMIT = 6.0


def arrays() -> dict[str, StoredArray]:
    """Noise compresses as badly as noisy k-space does."""
    rng = np.random.default_rng(0)
    shape = (SLICES, 1, *MATRIX)
    noise = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    labels = np.repeat(np.arange(4, dtype=np.uint8), MATRIX[1] // 4)
    target = np.broadcast_to(labels, (SLICES, *MATRIX))
    return {
        "full": StoredArray(noise.astype(np.complex64), ("slice", "coil", "ky", "kx")),
        "target": StoredArray(np.ascontiguousarray(target), ("slice", "ky", "kx")),
    }


def main(folder: Path) -> None:
    stored = arrays()
    content = [array.values.tobytes() for array in stored.values()]
    mebibytes = sum(map(len, content)) / 2**20
    store = DatasetStore(folder / "set.zarr")
    store.create({})

    def hash_twice() -> None:
        for values in content * 2:
            hashlib.sha256(values).digest()

    def write_raw() -> None:
        hash_twice()
        for number, values in enumerate(content):
            (folder / str(number)).write_bytes(values)

    raw, hashed = best_seconds(write_raw), best_seconds(hash_twice)
    failed = False
    sys.stdout.write(f"{mebibytes:.0f} MiB a subject, CPU time, least of three\n")
    for slices in (1, 8, SLICES):

        def write(slices: int = slices) -> None:
            store.write_subject("a", stored, {}, slices_per_chunk=slices)

        written = best_seconds(write)
        verified = best_seconds(lambda: verify_subject(store.path, "kspace/a"))
        assert verify_subject(store.path, "kspace/a") == []
        factors = (written / raw, verified / hashed)
        failed |= max(factors) > LIMIT
        sys.stdout.write(
            f"{slices:3d} slices a chunk: write {written:.2f} s ({factors[0]:.1f} x raw and "
            f"hashed twice), verify {verified:.2f} s ({factors[1]:.1f} x hashed twice, "
            f"{mebibytes / verified:.0f} MiB/s)\n"
        )
    sys.exit(failed)


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    try:
        main(place)
    finally:
        if len(sys.argv) == 1:
            shutil.rmtree(place)
