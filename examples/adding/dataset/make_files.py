"""Write four made-up volumes in the layout of the Decathlon's Task04_Hippocampus.

    python examples/adding/dataset/make_files.py

Two blobs in noise, of another size in each volume, as the real ones are. They show that the reader
and the product work; nobody learns anatomy from them.
"""

import json
from pathlib import Path

import nibabel
import numpy as np

ROOT = Path("runs/decathlon/Task04_Hippocampus")


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels on the same grid, (x, y, z)."""
    rng = np.random.default_rng(seed)
    shape = rng.integers((32, 44, 30), (40, 54, 40))
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    labels = np.zeros(shape, dtype=np.uint8)
    labels[(x / 0.5) ** 2 + ((y - 0.35) / 0.35) ** 2 + (z / 0.4) ** 2 < 1] = 1
    labels[(x / 0.4) ** 2 + ((y + 0.35) / 0.35) ** 2 + (z / 0.4) ** 2 < 1] = 2
    image = np.array([300, 600, 500])[labels] + rng.normal(0, 30, shape)
    return image.astype(np.float32), labels


def main() -> None:
    for folder in ("imagesTr", "labelsTr"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, 5):
        name = f"hippocampus_{number:03d}.nii.gz"
        for folder, values in zip(("imagesTr", "labelsTr"), volume(number), strict=True):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), ROOT / folder / name)
    (ROOT / "dataset.json").write_text(json.dumps({"name": "Hippocampus"}))
    print(ROOT)


if __name__ == "__main__":
    main()
