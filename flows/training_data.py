"""What a study's networks learn from and are judged by, for every command that trains them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import NamedTuple

from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.reading.device_images import DeviceImages
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.fresh_heads import FreshHeads
from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.datasets.reading.slice_format import SliceFormat
from spinforge.flows.config import Study
from spinforge.flows.slices import study_slices
from spinforge.flows.worker_count import worker_count
from spinforge.flows.workers import worker_processes
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.fresh import simulated_source, simulates
from spinforge.models.training.possible import available_device
from spinforge.models.training.product_slices import StudySlices, check_fits, showing
from spinforge.models.training.sources import training_source

TrainingSource = StudySlices | DeviceSlices | DeviceImages | SimulatedSlices


class TrainingData(NamedTuple):
    """What networks that read the same are trained with.

    Attributes:
        source: What they learn from.
        validation: What they are judged by.
    """

    source: TrainingSource
    validation: StudySlices

    @property
    def reads(self) -> SliceFormat:
        """What the slices look like; simulated ones look as those that validate."""
        if isinstance(self.source, SimulatedSlices):
            return self.validation.format
        return self.source.format

    def close(self) -> None:
        """End what is still made for a training that is over; another one may begin."""
        if isinstance(self.source, FreshHeads):
            self.source.close()


@contextmanager
def training_data(
    study: Study, networks: Iterable[NetworkConfig]
) -> Iterator[Callable[[NetworkConfig], TrainingData]]:
    """Open the sets of a study; gives a function from a network to its data.

    Each call reads or simulates the training slices anew, on the device where there is room.

    Args:
        study: Data and recipe.
        networks: Those that will be trained, which must be able to read the slices.

    Raises:
        SpinforgeError: If the set is not as the study wants it, or does not fit a network.
    """
    validation = study_slices(study, "validation")
    check_fits(validation, networks)
    training = None if simulates(study.training) else study_slices(study, "train")
    with _head_makers(study) as executor:

        def data_of(network: NetworkConfig) -> TrainingData:
            source = _source(study, training, network, executor)
            return TrainingData(source, showing(validation, network))

        yield data_of


@contextmanager
def _head_makers(study: Study) -> Iterator[Executor | None]:
    """Processes that make new heads, where each epoch wants some."""
    if study.training.fresh != "anatomy":
        yield None
        return
    with worker_processes(worker_count(study)) as executor:
        yield executor


def _source(
    study: Study, training: StudySlices | None, network: NetworkConfig, executor: Executor | None
) -> TrainingSource:
    """What networks that read the same as this one learn from."""
    # Of networks that were trained elsewhere only the record is left: their GPU need not be here.
    device = available_device(study.training)
    if training is None:
        assert isinstance(study.data, KSpaceProduct)  # `check_trainable` saw to it
        return simulated_source(
            study.data,
            study.training,
            network,
            seed=study.seed,
            device=device,
            executor=executor,
        )
    return training_source(
        showing(training, network),
        device=device,
        processes=study.training.processes,
        batch_size=study.training.batch_size,
        seed=study.seed,
    )
