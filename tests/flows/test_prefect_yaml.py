"""Prefect ignores what it does not know in prefect.yaml; here a misspelt key is an error."""

import importlib
import json
from typing import Any, get_args

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from prefect.workers.process import ProcessJobConfiguration

from spinforge.datasets.products.catalogue import Product
from spinforge.flows.config import Study, load_study


def unknown_keys(content: dict[str, Any]) -> list[str]:
    """Dotted paths of every key that Prefect would drop."""
    top = {field.alias or name for name, field in PrefectYamlModel.model_fields.items()}
    found = [key for key in content if key not in top]
    for number, deployment in enumerate(content["deployments"]):
        where = f"deployments.{number}"
        found += _unknown(deployment, DeploymentConfig, where)
        pool = deployment.get("work_pool", {})
        found += _unknown(pool, WorkPoolConfig, f"{where}.work_pool")
        variables = pool.get("job_variables", {})
        found += _unknown(variables, ProcessJobConfiguration, f"{where}.work_pool.job_variables")
        limit = deployment.get("concurrency_limit", {})
        if isinstance(limit, dict):
            found += _unknown(limit, ConcurrencyLimitSpec, f"{where}.concurrency_limit")
        for schedule in deployment.get("schedules", []):
            found += _unknown(schedule, RawScheduleConfig, f"{where}.schedules")
    return found


def _unknown(content, model, where):
    return [f"{where}.{key}" for key in content if key not in model.model_fields]


@pytest.fixture(scope="module")
def content(repository) -> dict[str, Any]:
    return yaml.safe_load((repository / "prefect.yaml").read_text())


def deployments(content):
    """Flow and name -> deployment, as `prefect deployment run` names them."""
    return {
        f"{deployment['entrypoint'].rpartition('.')[2]}/{deployment['name']}": deployment
        for deployment in content["deployments"]
    }


def test_prefect_knows_every_key(content):
    assert unknown_keys(content) == []


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "deployments.0.x",
        "deployments.0.work_pool.x",
        "deployments.0.work_pool.job_variables.x",
        "deployments.1.schedules.0.x",
    ],
)
def test_a_misspelt_key_is_found(content, path):
    changed = json.loads(json.dumps(content))  # without YAML's shared anchors
    place: Any = changed
    for part in path.split(".")[:-1]:
        place = place[int(part)] if part.isdigit() else place[part]
    place["x"] = 1
    assert len(unknown_keys(changed)) == 1


def test_entrypoints_are_flows_and_parameters_fit_them(content):
    for name, deployment in deployments(content).items():
        module, _, attribute = deployment["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), attribute)
        assert isinstance(flow, Flow), name
        flow.validate_parameters(deployment["parameters"])


def test_every_deployed_study_is_a_shipped_one(content, repository):
    for deployment in deployments(content).values():
        study = Study.model_validate(deployment["parameters"]["study"])
        shipped = load_study(repository / "studies" / f"{study.name}.yaml")
        if deployment["entrypoint"].endswith((".generate", ".corrupt")):  # train no network
            study = study.model_copy(
                update={"networks": shipped.networks, "training": shipped.training}
            )
        assert study == shipped


def test_every_product_can_be_generated_by_a_deployment(content):
    deployed = {d["parameters"]["study"]["data"].get("product") for d in content["deployments"]}
    assert deployed == {None, *product_names()}


def product_names():
    (union, _) = get_args(Product)
    models = [get_args(member)[0] for member in get_args(union)]
    return {get_args(model.model_fields["product"].annotation)[0] for model in models}


def test_regeneration_has_a_schedule(content):
    (schedule,) = deployments(content)["generate/nightly-regeneration"]["schedules"]
    RawScheduleConfig.model_validate(schedule)
    assert schedule["active"] is True


def test_every_deployment_names_the_same_pool(content):
    pools = {d["work_pool"]["name"] for d in deployments(content).values()}
    assert pools == {"spinforge"}


def test_prefects_server_accepts_the_parameters(content):
    """It checks them against the flow's schema but for what is required: `kind` must be there."""
    for deployment in deployments(content).values():
        module, _, attribute = deployment["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), attribute)
        schema = parameter_schema(flow.fn).model_dump_for_openapi()
        validate(deployment["parameters"], schema, raise_on_error=True, ignore_required=True)
        ambiguous = json.loads(json.dumps(deployment["parameters"]))
        if "scan" not in ambiguous["study"]["data"]:
            continue
        del ambiguous["study"]["data"]["scan"]["kind"]
        with pytest.raises(ValidationError, match=r"study\.data"):
            validate(ambiguous, schema, raise_on_error=True, ignore_required=True)
