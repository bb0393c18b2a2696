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
from spinforge.flows.config import load_study
from spinforge.flows.limits import POOLS


def unknown_keys(content: dict[str, Any]) -> list[str]:
    """Dotted paths of every key that Prefect would drop."""
    top = {field.alias or name for name, field in PrefectYamlModel.model_fields.items()}
    top |= {"definitions"}  # where YAML's anchors stand; Prefect leaves it alone
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
        "deployments.0.schedules.0.x",
    ],
)
def test_a_misspelt_key_is_found(content, path):
    changed = json.loads(json.dumps(content))  # without YAML's shared anchors
    place: Any = changed
    for part in path.split(".")[:-1]:
        place = place[int(part)] if part.isdigit() else place[part]
    place["x"] = 1
    assert len(unknown_keys(changed)) == 1


def flow_of(deployment) -> Flow:
    module, _, attribute = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_entrypoints_are_flows_and_parameters_fit_them(content, repository, monkeypatch):
    monkeypatch.chdir(repository)  # where `prefect deploy` is called, and runs work
    for name, deployment in deployments(content).items():
        flow = flow_of(deployment)
        assert isinstance(flow, Flow), name
        flow.validate_parameters(deployment["parameters"])


def test_every_deployed_study_is_a_shipped_file_that_loads(content, repository, monkeypatch):
    monkeypatch.chdir(repository)
    for name, deployment in deployments(content).items():
        if (chosen := deployment["parameters"].get("study")) is None:
            continue
        read = flow_of(deployment).validate_parameters(deployment["parameters"])["study"]
        assert read == load_study(repository / chosen["file"], chosen["set"]), name
        assert not read.out.is_absolute(), name  # results go to the deploying folder's runs/


def test_names_are_not_given_twice(content):
    assert len(deployments(content)) == len(content["deployments"])


def test_every_product_can_be_generated_by_a_deployment(content, repository):
    deployed = set()
    for name, deployment in deployments(content).items():
        if name.startswith("generate/"):
            study = load_study(repository / deployment["parameters"]["study"]["file"])
            deployed.add(study.data.product)
    assert deployed == product_names()


def product_names():
    (union, _) = get_args(Product)
    models = [get_args(member)[0] for member in get_args(union)]
    return {get_args(model.model_fields["product"].annotation)[0] for model in models}


@pytest.mark.parametrize("name", ["regenerate/nightly", "robustness/weekly", "prune/weekly"])
def test_what_runs_by_the_clock(content, name):
    (schedule,) = deployments(content)[name]["schedules"]
    RawScheduleConfig.model_validate(schedule)
    assert schedule["active"] is True


def test_every_flow_of_a_study_is_deployed(content):
    flows = {name.partition("/")[0] for name in deployments(content)}
    one_by_one = {"download", "generate", "corrupt", "train", "evaluate", "verify"}
    assert flows == one_by_one | {"regenerate", "robustness", "study", "prune"}


def test_pools_are_those_that_serve_makes(content):
    pools = {d["work_pool"]["name"] for d in deployments(content).values()}
    assert pools == set(POOLS)


def test_what_trains_is_for_the_gpu(content):
    trains = {"train", "evaluate", "study", "robustness"}
    for name, deployment in deployments(content).items():
        pool = "gpu" if name.partition("/")[0] in trains else "cpu"
        assert deployment["work_pool"]["name"] == pool, name


def test_prefects_server_accepts_the_parameters(content):
    """It checks them against the flow's schema but for what is required."""
    for deployment in deployments(content).values():
        schema = parameter_schema(flow_of(deployment).fn).model_dump_for_openapi()
        validate(deployment["parameters"], schema, raise_on_error=True, ignore_required=True)
        if "study" not in deployment["parameters"]:
            continue
        misspelt = {**deployment["parameters"], "study": {"files": "studies/quickstart.yaml"}}
        with pytest.raises(ValidationError):
            validate(misspelt, schema, raise_on_error=True, ignore_required=True)


def test_schedules_do_not_meet(content):
    """Each starts at an hour of its own."""
    hours = [s["cron"].split()[1] for d in content["deployments"] for s in d.get("schedules", [])]
    assert len(set(hours)) == len(hours) == 3
