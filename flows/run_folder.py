"""Where every result of a study lies."""

from dataclasses import dataclass
from pathlib import Path

from spinforge.datasets.files import replacing
from spinforge.datasets.store import KSpaceStore
from spinforge.flows.config import Study, study_yaml
from spinforge.models.networks import NetworkConfig
from spinforge.simulation.config import content_hash


@dataclass(frozen=True)
class RunFolder:
    """Paths of one study's results.

    Attributes:
        path: The run's own folder, <out>/<name>.
    """

    path: Path

    @classmethod
    def of(cls, study: Study) -> "RunFolder":
        """The folder of a study."""
        return cls(study.out / study.name)

    @property
    def study_file(self) -> Path:
        """The resolved study, rewritten by every run."""
        return self.path / "study.yaml"

    @property
    def store(self) -> KSpaceStore:
        """The simulated data."""
        return KSpaceStore(self.path / "dataset.zarr")

    def network(self, name: str, fingerprint: str) -> Path:
        """Folder of one trained network.

        Its name carries a hash of everything that shaped the weights, so a changed recipe
        trains anew beside the old result, and an unchanged one is found again.
        """
        return self.path / "networks" / f"{name}-{fingerprint[:8]}"

    @property
    def evaluation(self) -> Path:
        """Folder of tables and predictions."""
        return self.path / "evaluation"

    def predictions(self, network: str) -> Path:
        """Label maps of one network."""
        return self.evaluation / "predictions" / f"{network}.npz"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    def prepare(self, study: Study) -> None:
        """Make the folder and write the resolved study into it.

        Raises:
            SpinforgeError: If it cannot be written.
        """
        with replacing(self.study_file) as temporary:
            temporary.write_text(study_yaml(study), encoding="utf-8")


def network_fingerprint(study: Study, network: NetworkConfig, seen: list[str]) -> str:
    """Hash of everything that is meant to shape a network's weights; not the device.

    Args:
        study: For recipe and seed.
        network: Which network; its name does not matter.
        seen: Fingerprints of the training and validation slices.
    """
    return content_hash(
        {
            "network": network.model_dump(mode="json", exclude={"name"}),
            "training": study.training.model_dump(mode="json", exclude={"device"}),
            "seed": study.seed,
            "slices": seen,
        }
    )
