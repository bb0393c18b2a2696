"""Every check of `spinforge doctor`, in the order of its table."""

from spinforge.flows.doctor import (
    compiled,
    folders,
    installation,
    machine,
    reached,
    record,
    scheduling,
    secrets,
)
from spinforge.flows.doctor.examine import Check

CHECKS: tuple[Check, ...] = (
    *installation.CHECKS,
    compiled.compiled_packages,
    machine.disks,
    machine.memory,
    machine.open_files,
    machine.cores,
    scheduling.prefect_server,
    scheduling.exposed_server,
    scheduling.work_pools,
    scheduling.gpu_limit,
    scheduling.late_runs,
    scheduling.running_without_worker,
    scheduling.notifications,
    record.mlflow_files,
    record.mlflow_servers,
    reached.dask_schedulers,
    reached.object_stores,
    compiled.study_files,
    folders.killed_runs,
    folders.leftovers,
    folders.data_sets,
    secrets.secrets_in_files,
    secrets.prefect_profile,
)
