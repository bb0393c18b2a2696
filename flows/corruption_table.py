"""The table of every corruption set against the clean images, beside the data card."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from prefect import task
from prefect.artifacts import create_table_artifact

from spinforge.datasets.corruption.sets import CorruptedStore, clean_subject
from spinforge.datasets.corruption.settings import CorruptedSet
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.reading.dask_arrays import subject_array
from spinforge.datasets.storage.files import replacing
from spinforge.evaluation.corruption_strength import slice_sums, strength
from spinforge.flows.cluster import Cluster
from spinforge.flows.config import Study
from spinforge.flows.progress import say
from spinforge.flows.retries import RETRIES
from spinforge.flows.run_folder import RunFolder
from spinforge.simulation.config import content_hash

_COLUMNS = ("set", "strength", "contrast", "subjects", "nrmse", "psnr_db", "content")
Row = dict[str, str]


def rows_that_hold(study: Study, sets: Sequence[CorruptedSet], subjects: list[str]) -> list[Row]:
    """Rows of the table that is there, of those sets whose content is still the same."""
    table = RunFolder.of(study).corruption_table
    if not table.exists():
        return []
    contents = {(s.name, s.strength): _content(study, s, subjects) for s in sets}
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    return [
        row
        for row in rows
        if contents.get((row.get("set", ""), row.get("strength", ""))) == row.get("content")
    ]


def write_table(
    study: Study,
    sets: Sequence[CorruptedSet],
    subjects: list[str],
    held: list[Row],
    cluster: Cluster,
) -> None:
    """Compare the sets that the table lacks, block by block, and write it as CSV and artifact.

    The same images give the same text for any number of workers.

    Args:
        study: For its folder.
        sets: All of the study; they are complete.
        subjects: Who is in them.
        held: Rows to keep, of `rows_that_hold`.
        cluster: Reads and compares.
    """
    known = {(row["set"], row["strength"]) for row in held}
    missing = {s.group: s for s in sets if (s.name, s.strength) not in known}

    def compare(group: str) -> list[Row]:
        return _compared(study, missing[group], subjects, cluster)

    compare_set = task(name="compare-set", task_run_name="{group}", **RETRIES)(compare)
    rows = held + [row for group in missing for row in compare_set(group)]
    order = {(chosen.name, chosen.strength): place for place, chosen in enumerate(sets)}
    rows.sort(key=lambda row: (order[row["set"], row["strength"]], row["contrast"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    table = RunFolder.of(study).corruption_table
    with replacing(table) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    create_table_artifact(
        rows,
        key=f"corruptions-{study.name.replace('_', '-')}",
        description="Every corruption set against the clean images, mean over subjects: error over "
        f"signal (NRMSE) and peak signal-to-noise ratio. Also in {table}",
    )
    say(f"corruption {table}")


def _compared(
    study: Study, chosen: CorruptedSet, subjects: list[str], cluster: Cluster
) -> list[Row]:
    """One row a contrast of a set."""
    store = RunFolder.of(study).store
    corrupted = CorruptedStore(store, chosen.name, chosen.strength)
    contrasts = clean_subject(maker_of(study.data), store, subjects[0]).contrasts
    content = _content(study, chosen, subjects)
    rows = []
    for contrast in contrasts:
        sums = [
            slice_sums(
                subject_array(corrupted, subject, contrast), subject_array(store, subject, contrast)
            )
            for subject in subjects
        ]
        what = f"comparing {chosen.group} with the clean images"
        volumes: list[NDArray[np.float64]] = cluster.compute(sums, what)
        found = strength(volumes)
        rows.append(
            {
                "set": chosen.name,
                "strength": chosen.strength,
                "contrast": contrast,
                "subjects": str(len(subjects)),
                "nrmse": f"{found.nrmse:.6g}",
                "psnr_db": f"{found.psnr:.6g}",
                "content": content,
            }
        )
    return rows


def _content(study: Study, chosen: CorruptedSet, subjects: list[str]) -> str:
    """What tells whether a row is still about these images."""
    store = RunFolder.of(study).store
    both = [store.digest(subjects), store.within(chosen.group).digest(subjects)]
    return content_hash({"clean, corrupted": both})[:16]
