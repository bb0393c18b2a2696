"""The data card within a report: what a k-space set holds, in words and numbers to check."""

from spinforge.datasets.card.sources import REFERENCES, citation
from spinforge.datasets.products.kspace import FIXED_MASK, KSpaceProduct
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import draw_lines
from spinforge.simulation.tissue import TARGET_NAMES


def data_card(
    store: DatasetStore, product: KSpaceProduct, split: Split
) -> dict[str, dict[str, str]]:
    """Describe a complete set.

    Returns:
        Section -> name -> value, all as text.
    """
    targets = {subject: store.read(subject, "target") for subject in split.everyone}
    slices = {subject: len(target) for subject, target in targets.items()}
    _, lines, readout = next(iter(targets.values())).shape
    codes = range(len(TARGET_NAMES))
    counts = [sum(int((t == code).sum()) for t in targets.values()) for code in codes]
    kept = int(store.read(split.everyone[0], f"masks/{FIXED_MASK}")[0].sum())
    acs, *_ = draw_lines(product.sampling, lines, SampleRng(product.seed, "card")).acs
    sigma = [float(store.read(subject, "noise_sigma")[0]) for subject in split.everyone]

    def members(names: tuple[str, ...]) -> str:
        return f"{', '.join(names)} ({sum(slices[name] for name in names)} slices)"

    return {
        "Subjects": {
            "phantom": product.phantom,
            "training": members(split.train),
            "validation": members(split.validation),
            "test": members(split.test),
            "citation": citation(product.phantom),
        },
        "Scan": {
            "sequence": f"{product.scan.kind.replace('_', ' ')}, TR {product.scan.tr_ms:g} ms, "
            f"TE {1e3 * product.scan.echo_time:g} ms, "
            f"each subject within {100 * product.scan.variation:g} %",
            "matrix": f"{lines} phase-encoding lines x {readout} readout samples, "
            f"{product.scanner.coils} coil{'s' if product.scanner.coils > 1 else ''}",
            "scanner": f"profile {product.scanner.profile}, tissues {product.scanner.tissue_set}",
            "voxel": f"{product.spacing_mm} x {product.spacing_mm} x "
            f"{product.slices.thickness_mm:g} mm",
        },
        "Corruption": {
            "noise": f"{product.noise.percent:g} % of {REFERENCES[product.noise.reference]} in "
            f"each of the real and imaginary channel (std {min(sigma):.4f} to {max(sigma):.4f})",
            "lines kept": f"{kept} of {lines}, the central {acs} always",
        },
        "Class balance": {
            name: f"{100 * count / sum(counts):.1f} %"
            for name, count in zip(TARGET_NAMES, counts, strict=True)
        },
        "Provenance": {
            "dataset": str(store.path),
            "content sha256": store.digest(split.everyone),
            "config sha256": product.config_hash,
            "seed": str(product.seed),
        },
    }
