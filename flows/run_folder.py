"""Where every result of a study lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import split_of
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.files import readable_errors, remove_abandoned, replacing
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import Study, study_yaml
from spinforge.flows.killed_runs import forget_run, note_run
from spinforge.simulation.errors import SpinforgeError


@dataclass(frozen=True)
class RunFolder:
    """Paths of one study's results.

    Attributes:
        path: The run's own folder, <out>/<name>.
        store: The data set, seen as its subjects.
    """

    path: Path
    store: DatasetStore

    @classmethod
    def of(cls, study: Study) -> "RunFolder":
        """The folder of a study."""
        path = study.out / study.name
        return cls(
            path, DatasetStore(study.dataset or path / "dataset.zarr", maker_of(study.data).group)
        )

    @property
    def study_file(self) -> Path:
        """The resolved study, rewritten by every run."""
        return self.path / "study.yaml"

    @property
    def networks(self) -> Path:
        """One folder a trained network, named after a hash of all that shaped it."""
        return self.path / "networks"

    @property
    def evaluation(self) -> Path:
        """Tables of all networks, and one folder a scored network."""
        return self.path / "evaluation"

    @property
    def robustness(self) -> Path:
        """The long table of a robustness study, and one folder a network and corruption set."""
        return self.path / "robustness"

    @property
    def robustness_page(self) -> Path:
        """Its report."""
        return self.path / "robustness.html"

    @property
    def card(self) -> Path:
        """What the data set holds, for people."""
        return self.path / "dataset.html"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    @contextmanager
    def opened(self, study: Study) -> Iterator[None]:
        """Work in the folder, alone: note the study, remove what killed runs left.

        A flow within a flow may open the folder again; only the outermost one notes its study, as
        those within may be about one of several seeds.

        Raises:
            SpinforgeError: If another process works here, or the folder cannot be written.
        """
        with readable_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock", timeout=0, is_singleton=True, thread_local=False)
        try:
            with readable_errors(self.path):
                lock.acquire()
        except Timeout:
            raise SpinforgeError(
                f"another run works in {self.path}. Wait until it ends, or choose another folder "
                f"with --set name=... or --set out=..."
            ) from None
        try:
            if lock.lock_counter == 1:
                remove_abandoned(self.path)
                note_run(self.path)
                with replacing(self.study_file) as temporary:
                    temporary.write_text(study_yaml(_with_names(study)), encoding="utf-8")
            yield
        finally:
            if lock.lock_counter == 1:
                forget_run(self.path)
            lock.release()


def _with_names(study: Study) -> Study:
    """The study with its subjects by name, as numbers depend on which files there are."""
    if not isinstance(study.data, KSpaceProduct):
        return study
    names = Subjects.model_validate(split_of(study.data).model_dump())
    data = study.data.model_copy(update={"subjects": names})
    return study.model_copy(update={"data": data})
