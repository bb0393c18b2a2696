r"""Train a study's networks in processes that torchrun started, on one machine or on several.

    spinforge generate FILE.yaml
    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \
        -m spinforge.flows.train_with_torchrun FILE.yaml \
        --set training.devices=4 --set training.nodes=2
    spinforge study FILE.yaml

The second command runs on each machine, in the same folder, which all of them share. It needs
neither Prefect nor MLflow: the third one finds the networks trained and records them. On a single
machine `spinforge study FILE.yaml --set training.devices=4` does all of this alone.
"""

import os
from contextlib import nullcontext

import typer

from spinforge.flows.config import load_study
from spinforge.flows.options import Overrides, StudyFile
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder
from spinforge.flows.training_data import training_data
from spinforge.models.training.fit import train_network
from spinforge.models.training.possible import require_possible
from spinforge.models.training.processes import leave
from spinforge.models.training.product_slices import check_trainable
from spinforge.simulation.errors import SpinforgeError


def train_with_torchrun(file: StudyFile, overrides: Overrides = None) -> None:
    """Train every network of a study that is not trained yet.

    Raises:
        SpinforgeError: If the study or its data are not as they should be, or as `train_network`.
    """
    study = load_study(file, overrides or [])
    recipe = study.training
    require_possible(recipe)
    check_trainable(study.data, study.networks, recipe)
    is_first = os.environ.get("RANK", "0") == "0"
    opened = RunFolder.of(study).opened(study) if is_first else nullcontext()
    with training_data(study, study.networks) as data_of, opened:
        for network in study.networks:
            data = data_of(network)
            train_network(
                network,
                recipe,
                data.source,
                data.validation,
                network_folder(study, network),
                seed=study.seed,
                reads=data.reads,
                progress=is_first,
            )
            data.close()
    leave()


def main() -> None:
    """What torchrun starts; bad input ends with one message and exit code 2."""
    try:
        typer.run(train_with_torchrun)
    except SpinforgeError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
