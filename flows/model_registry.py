"""Trained networks as MLflow models, and as versions of a registered model."""

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import Schema, TensorSpec

from spinforge.flows.logged_model import RawScanModel, example_of, fixed_axes
from spinforge.models.weights import LoadedNetwork

CHAMPION = "champion"
"""Alias, in MLflow's registry, of the version to use."""


def mlflow_model(loaded: LoadedNetwork, file: Path, *, coils: int = 1) -> dict[str, Any]:
    """A network as MLflow's `log_model` and `save_model` want it: file, signature, small example.

    Nothing is pickled, and no environment is inferred: that would import the model in a further
    process and ask pip.

    Args:
        loaded: The network, whose file says what it reads.
        file: That file.
        coils: Coils of the k-space that it reads, if it does.

    Returns:
        Their arguments.
    """
    assert loaded.reads is not None
    example = example_of(loaded, coils=coils)
    answer = RawScanModel(loaded).predict(example)
    inputs, outputs = (
        Schema([TensorSpec(x.dtype, fixed_axes(loaded, name, x), name) for name, x in of.items()])
        for of in (example, answer)
    )
    return {
        "loader_module": "spinforge.flows.logged_model",
        "data_path": str(file),
        "signature": ModelSignature(inputs=inputs, outputs=outputs),
        "input_example": example,
        "pip_requirements": [f"spinforge=={version('spinforge')}"],
        "metadata": {"reads": loaded.reads.model_dump(mode="json")},
    }


def register(client: MlflowClient, name: str, run: str, network: str) -> None:
    """Make a run's model a version of a registered model; nothing if it is one or there is none.

    Args:
        client: Of the MLflow that is the process's own meanwhile.
        name: Of the registered model.
        run: Whose last model is meant.
        network: Folder of the network, noted as a tag.
    """
    model = _logged_model(client, run)
    if model is None or _version_of(client, name, model) is not None:
        return
    with suppress(MlflowException):  # it is there already
        client.create_registered_model(name)
    client.create_model_version(
        name,
        model,
        run_id=run,
        model_id=model.removeprefix("models:/"),  # servers insist on it
        tags={"network": network},
    )


def crown(client: MlflowClient, name: str, run: str) -> None:
    """Give the version of a run's model the alias `champion`; an alias has one bearer."""
    model = _logged_model(client, run)
    if model is not None and (number := _version_of(client, name, model)) is not None:
        client.set_registered_model_alias(name, CHAMPION, number)


def _logged_model(client: MlflowClient, run: str) -> str | None:
    """URI of a run's last whole model, if any; a killed run may have left one without its files."""
    outputs = client.get_run(run).outputs
    named = outputs.model_outputs if outputs else []
    models = [client.get_logged_model(output.model_id) for output in named]
    whole = [model for model in models if model.status == LoggedModelStatus.READY]
    if not whole:
        return None
    return f"models:/{max(whole, key=lambda model: model.creation_timestamp).model_id}"


def _version_of(client: MlflowClient, name: str, model: str) -> str | None:
    """Number of the registered version of a logged model."""
    found = client.search_model_versions(f"name = '{name}'")
    return next((str(v.version) for v in found if v.source == model), None)
