"""Are BrainWeb's noise and bias sets what they say? Measured in stored images.

    python benchmarks/corruption.py DATASET [--brainweb FOLDER]

DATASET is a zarr store of T1, T2 and PD images with the sets of `corruptions: brainweb`, such as

    spinforge generate studies/crdn-brainweb.yaml
    spinforge corrupt studies/crdn-brainweb.yaml

leave in runs/crdn-brainweb/dataset.zarr; FOLDER may hold a copy of BrainWeb's own noisy T1 and of
its white matter at 2 mm, normal_2mm_t1.rawb.gz and normal_2mm_wm.rawb.gz.

Three measurements of sigma from magnitudes alone, in percent of the signal of the reference tissue
(white matter in T1, CSF in T2 and PD), without a look at what was noted when they were made:

* air: the clean image is 0, so the noisy one is Rayleigh and sigma = sqrt(mean(M^2) / 2);
* tissue: where the clean signal A is at least 0.9 of the reference, hence 10 sigma or more, the
  standard deviation of M - A is sigma to within sigma^2 / 4 A^2 = 0.25 %;
* all: mean(M^2 - A^2) = 2 sigma^2 wherever and whatever A is. This one is printed, without a limit,
  since at low noise it is the difference of two large numbers.

Fields: corrupted / clean over the brain, least and largest. Ends with exit status 1 if a limit is
not met.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from spinforge.datasets.brainweb.files import read_volume
from spinforge.datasets.corruption.sets import CorruptedStore, sets_in
from spinforge.datasets.corruption.settings import BRAINWEB_INU_PERCENT, BRAINWEB_NOISE_PERCENT
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError

SIGMA_LIMIT = 0.01
"""Of sigma."""

RANGE_LIMIT = 2e-6
"""Of a field's ends: images hold 24 bits, so a quotient of two is known to 1.2e-7 of it, and the
field itself was rounded once."""

COPY_SHAPE = (91, 109, 91)
COPY_LIMIT = 0.05
"""Of sigma; the copy is in bytes, whose step is a tenth of its sigma, and was resampled."""


def sigma_in_air(noisy: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(noisy[clean == 0], dtype=np.float64)) / 2))


def sigma_in_tissue(noisy: np.ndarray, clean: np.ndarray, reference: float) -> float:
    bright = clean >= 0.9 * reference
    return float(np.std((noisy - clean)[bright], dtype=np.float64))


def sigma_everywhere(noisy: np.ndarray, clean: np.ndarray) -> float:
    excess = np.square(noisy, dtype=np.float64) - np.square(clean, dtype=np.float64)
    return float(np.sqrt(max(0.0, excess.mean()) / 2))


def within(measured: float, expected: float, limit: float) -> bool:
    return abs(measured - expected) <= limit * expected


def check_noise(store: DatasetStore, subject: str, contrast: str) -> list[bool]:
    reference = store.subject_attributes(subject)["reference_signal"][contrast]
    met = []
    for inu in BRAINWEB_INU_PERCENT:
        clean = CorruptedStore(store, f"rf{inu}", 0).read(subject, contrast)
        for percent in BRAINWEB_NOISE_PERCENT[1:]:
            noisy = CorruptedStore(store, f"rf{inu}", f"{percent:g}").read(subject, contrast)
            found = [
                100 * sigma / reference
                for sigma in (
                    sigma_in_air(noisy, clean),
                    sigma_in_tissue(noisy, clean, reference),
                    sigma_everywhere(noisy, clean),
                )
            ]
            met.append(all(within(value, percent, SIGMA_LIMIT) for value in found[:2]))
            shown = " | ".join(f"{value:.4f}" for value in found)
            verdict = "met" if met[-1] else "NOT MET"
            print(f"| {subject} | {contrast} | {inu} | {percent:g} | {shown} | {verdict} |")
    return met


def check_field(store: DatasetStore, subject: str, contrast: str) -> list[bool]:
    clean = store.read(subject, contrast)
    inside = store.read(subject, "brain").astype(bool) & (clean > 0)
    met = []
    for inu in BRAINWEB_INU_PERCENT:
        shaded = CorruptedStore(store, f"rf{inu}", 0).read(subject, contrast)
        ratio = shaded[inside].astype(np.float64) / clean[inside]
        found, wanted = (ratio.min(), ratio.max()), (1 - inu / 200, 1 + inu / 200)
        met.append(all(within(f, w, RANGE_LIMIT) for f, w in zip(found, wanted, strict=True)))
        verdict = "met" if met[-1] else "NOT MET"
        ends = f"{found[0]:.7f} | {found[1]:.7f} | {wanted[0]:g} | {wanted[1]:g}"
        print(f"| {subject} | {contrast} | {inu} | {ends} | {verdict} |")
    return met


def check_brainweb(folder: Path | None) -> list[bool]:
    """A noisy T1 of BrainWeb's own: sigma in air is one of its levels of the mean white matter."""
    if folder is None:
        print("skipped: no --brainweb FOLDER was given")
        return []
    try:
        image, white = (
            read_volume(folder / f"normal_2mm_{name}.rawb.gz", [COPY_SHAPE])
            for name in ("t1", "wm")
        )
    except SpinforgeError as error:
        print(f"skipped: {error}")
        return []
    image = image.astype(np.float64)
    corner = image[:, :5, :5]  # outside the head in every plane
    found = 100 * float(np.sqrt(np.mean(corner**2) / 2)) / float(image[white == white.max()].mean())
    nearest = min(BRAINWEB_NOISE_PERCENT, key=lambda percent: abs(percent - found))
    print(
        f"{found:.2f} % of white matter's mean; the nearest of BrainWeb's levels is {nearest:g} %"
    )
    return [within(found, nearest, COPY_LIMIT)]


def heading(*names: str) -> None:
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--brainweb", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    store = DatasetStore(chosen.dataset, "images")
    missing = {f"rf{inu}" for inu in BRAINWEB_INU_PERCENT} - set(sets_in(store))
    if missing:
        parser.error(
            f"{chosen.dataset} lacks the sets {', '.join(sorted(missing))}; see spinforge corrupt "
            f"--set corruptions=brainweb"
        )
    subjects = CorruptedStore(store, "rf0", 0).complete_subjects()
    contrasts = {s: sorted(store.subject_attributes(s)["reference_signal"]) for s in subjects}
    print(
        f"sigma [% of the reference tissue], limit {SIGMA_LIMIT:.0%} of it in air and in tissue\n"
    )
    heading("subject", "contrast", "INU", "wanted", "air", "tissue", "all", "")
    met = [m for s in subjects for c in contrasts[s] for m in check_noise(store, s, c)]
    print(f"\nrange of the field over the brain, limit {RANGE_LIMIT:g} of its ends\n")
    heading("subject", "contrast", "INU", "least", "largest", "wanted", "wanted", "")
    met += [m for s in subjects for c in contrasts[s] for m in check_field(store, s, c)]
    print("\nBrainWeb's own T1\n")
    met += check_brainweb(chosen.brainweb)
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
