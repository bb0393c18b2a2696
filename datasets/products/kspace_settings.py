"""What a study may say about a k-space set; the defaults are SERANet's."""

from typing import Any, Literal

from pydantic import Field, model_validator

from spinforge.datasets.products.product import ProductSettings
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.files import UserPath
from spinforge.datasets.tissue_names import TissueName, tissue_codes
from spinforge.simulation.noise import Noise
from spinforge.simulation.rng import RNG_SCHEME
from spinforge.simulation.sampling import Gaussian1D, LineSampling
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import PulseSequence, SpinEcho
from spinforge.simulation.slices import Slices
from spinforge.simulation.tissue import Tissue

SIMULATION = "scan-2"
"""Version of the signal chain; whatever changes a stored byte changes it."""


class KSpaceProduct(ProductSettings):
    """Simulated k-space of many subjects; the defaults are SERANet's 10 % noise, 30 % lines.

    The scanner's default is the ideal one; the profile with imperfections is called `seranet`.
    """

    product: Literal["seranet"] = Field(
        "seranet", description="k-space sets such as SERANet's; needs not be said"
    )
    phantom: Literal["procedural", "brainweb20", "brainweb0", "labels"] = Field(
        "procedural",
        description="our own heads, BrainWeb's twenty subjects, its subject 0 with and without "
        "MS lesions (normal, msles1 to 3, which are one head, not to be split), or label maps of "
        "your own",
    )
    path: UserPath | None = Field(
        None,
        description="folder with BrainWeb's files: subjectNN_crisp_v.mnc.gz, or "
        "phantom_1.0mm_normal_crisp.mnc.gz; or with label maps, one NIfTI file a subject",
    )
    labels: dict[int, TissueName] | None = Field(
        None,
        description="which tissue each value of the label maps is, such as {1: csf, 2: gm, 3: wm}; "
        "0 is background unless said otherwise",
    )
    download: bool = Field(
        False,
        description="fetch missing crisp models into `path` first (brainweb20; needs the network)",
    )
    fuzzy: bool = Field(
        False,
        description="memberships from BrainWeb's fuzzy volumes instead of averaged crisp labels; "
        "brainweb20 only",
    )
    spacing_mm: Literal[1, 2, 4] = Field(
        1, description="voxel size of procedural heads and label maps [mm]; 4 is for smoke tests"
    )
    subjects: Subjects = Subjects()
    slices: Slices = Slices()
    scan: PulseSequence = SpinEcho()
    scanner: Scanner = Scanner()
    noise: Noise = Noise()
    sampling: LineSampling = Gaussian1D()

    @model_validator(mode="after")
    def _labels_belong(self) -> "KSpaceProduct":
        if self.phantom != "labels":
            if self.labels is not None:
                raise ValueError(f"labels belong to phantom labels, not to {self.phantom}")
        elif not self.labels:
            raise ValueError(
                "phantom labels needs `labels`: which tissue each value of the maps is, such as "
                "{1: csf, 2: gm, 3: wm}"
            )
        elif int(Tissue.BACKGROUND) not in tissue_codes(self.labels).values():
            raise ValueError(
                f"labels: 0 is {self.labels[0]}, so another value must be background; add it"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "KSpaceProduct":
        if self.phantom == "procedural":
            if self.path is not None or self.download:
                raise ValueError(
                    "path and download belong to BrainWeb's phantoms, not to procedural"
                )
        elif self.path is None:
            raise ValueError(
                f"phantom {self.phantom} needs `path`, the folder of its "
                f"{'NIfTI' if self.phantom == 'labels' else 'MINC'} files (--set data.path=FOLDER)"
            )
        elif self.phantom == "labels":
            if self.download:
                raise ValueError("download belongs to phantom brainweb20, not to labels")
        elif self.spacing_mm != 1:
            raise ValueError(
                "spacing_mm is for procedural heads; leave it out for BrainWeb, scanned at 1 mm"
            )
        if self.fuzzy and self.phantom != "brainweb20":
            raise ValueError(
                f"fuzzy belongs to phantom brainweb20, not to {self.phantom}; brainweb0 takes its "
                f"fuzzy volumes wherever all of them are there"
            )
        if self.fuzzy and self.download:
            raise ValueError(
                "download fetches crisp models only. For the fuzzy volumes leave it out and run: "
                "spinforge download brainweb20 --fuzzy --to FOLDER"
            )
        if self.phantom == "brainweb0":
            self._check_subject0()
        elif not self.subjects.is_split:
            raise ValueError("subjects: validation and test need at least one subject each")
        return self

    def _check_subject0(self) -> None:
        if self.download:
            raise ValueError(
                "download belongs to phantom brainweb20. For brainweb0 leave it out and run: "
                "spinforge download brainweb0 --to FOLDER (or msles1, msles2, msles3)"
            )
        if self.scanner.supersample != 1:
            raise ValueError(
                "scanner.supersample: 2 needs a model of 0.5 mm, and subject 0 has 1 mm voxels"
            )
        names = (self.subjects.validation, self.subjects.test)
        if any(group and not isinstance(group, int) for group in names):
            raise ValueError(
                "subjects: the models of brainweb0 are the same head four times, so none may "
                "validate or test what another trains; name them under train only"
            )

    def recipe(self) -> dict[str, Any]:
        """What determines one subject's bytes: all but paths and who is in which group."""
        settings = self.model_dump(mode="json", exclude={"path", "download", "subjects"})
        if self.labels is None:
            del settings["labels"]  # sets that were made before there were any keep their hash
        return settings | {"simulation": SIMULATION, "rng_scheme": RNG_SCHEME}
