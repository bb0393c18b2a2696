"""All that a machine without network needs to train and evaluate a study, as one folder or file."""

import importlib.metadata
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from spinforge.datasets.products.making import split_of, with_names
from spinforge.datasets.storage.code_version import code_version
from spinforge.datasets.storage.metadata import is_hidden
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import Study, Tracking, study_yaml
from spinforge.flows.offline.archive import Files, write_files
from spinforge.flows.offline.form import PACK_NOTE, PackNote, sha256_of
from spinforge.flows.offline.readme import RUN, readme
from spinforge.flows.offline.requirements import requirements
from spinforge.flows.preflight import check_writable
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import checked_store, network_folder
from spinforge.models.monai_networks import MonaiBasicUNetConfig, MonaiDynUNetConfig
from spinforge.models.training.product_slices import check_trainable
from spinforge.simulation.errors import SpinforgeError

CODE_ENDINGS = (".py", ".html", ".css", "py.typed")

_NOT_PACKED = Path("files-that-were-not-packed")
"""Where real data would lie: the set that was made from them is enough."""


def pack(
    study: Study,
    to: Path,
    *,
    with_data: bool = True,
    python: str = "3.12",
    there: Collection[str] = (),
) -> PackNote:
    """Write a pack of a study whose set is complete.

    In it: `run.py`, `study.yaml`, the code, the set (or only its digest), `requirements.txt`,
    `README.md` that says how to run it, and `pack.json` with the checksum of every other file.

    Args:
        study: What to train and evaluate.
        to: A new folder, or a file that ends in .tar.
        with_data: Whether the set goes along.
        python: Version of the machine's Python.
        there: Normal names of the packages that the machine has.

    Returns:
        What the pack says of itself.

    Raises:
        SpinforgeError: If the study reads corruption sets, its set is missing, incomplete or made
            with another configuration, a
            network does not fit it, the place is taken or cannot be written.
    """
    check_writable(to.absolute().parent, "--to")
    check_trainable(study.data, study.networks, study.training)
    if chosen := study.train_on or study.test_on:
        raise SpinforgeError(
            f"a pack carries the clean set only, but the study reads corrupt/{chosen}. Leave "
            f"train_on and test_on out, and judge the collected networks here"
        )
    store = checked_store(study)
    wanted = requirements(python, extras=_extras(study), there=there)
    note = PackNote(
        study=study.name,
        dataset_digest=store.digest(split_of(study.data).everyone),
        files={},
        spinforge=importlib.metadata.version("spinforge"),
        code=code_version(),
        networks={n.name: network_folder(study, n).name for n in study.networks},
    )
    carried = _carried_study(study)
    texts = {
        "run.py": RUN,
        "study.yaml": study_yaml(carried),
        "requirements.txt": "".join(f"{line}\n" for line in wanted),
        "README.md": readme(note, python=python, with_data=with_data),
    }
    digests: dict[str, str] = {}

    def files() -> Files:
        place = RunFolder.of(carried).store.path
        contents = [
            ((name, text.encode()) for name, text in texts.items()),
            _code_files(),
            _set_files(store, str(place)) if with_data else (),
        ]
        for group in contents:
            for name, content in group:
                digests[name] = sha256_of(content)
                yield name, content
        whole = note.model_copy(update={"files": digests})
        yield PACK_NOTE, (whole.model_dump_json(indent=1) + "\n").encode()

    write_files(to, files())
    return note.model_copy(update={"files": digests})


def _carried_study(study: Study) -> Study:
    """The study as it runs in the pack: subjects by name, no place or server of this machine."""
    data = with_names(study.data)
    if getattr(data, "path", None) is not None:
        data = data.model_copy(update={"path": _NOT_PACKED})
    return study.model_copy(
        update={
            "out": Path("runs"),
            "dataset": None,
            "data": data,
            "tracking": Tracking(experiment=study.tracking.experiment),
        }
    )


def _extras(study: Study) -> list[str]:
    """Packages that only some networks need."""
    monai = (MonaiBasicUNetConfig, MonaiDynUNetConfig)
    return ["monai"] if any(isinstance(network, monai) for network in study.networks) else []


def _code_files() -> Iterator[tuple[str, bytes]]:
    """The package as it runs now, wherever it is installed, and what names its version."""
    import spinforge

    (package,) = (Path(place) for place in spinforge.__path__)
    for folder, folders, names in os.walk(package, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(CODE_ENDINGS):
                yield f"code/spinforge/{path.relative_to(package).as_posix()}", path.read_bytes()
    installed = importlib.metadata.distribution("spinforge")
    folder = f"code/spinforge-{installed.version}.dist-info"
    for name in ("METADATA", "licenses/LICENSE"):
        if text := installed.read_text(name):
            yield f"{folder}/{name}", text.encode()


def _set_files(store: DatasetStore, place: str) -> Iterator[tuple[str, bytes]]:
    """The set without its corruption sets and what killed runs left."""
    for name in store.location.files(""):
        if is_hidden(name) or name.startswith("corrupt/"):
            continue
        content = store.location.read(name)
        if content is None:
            raise SpinforgeError(f"{store.path} changed while it was packed. Pack again")
        if name == "manifest.json":
            content = _manifest_without_corruptions(content)
        yield f"{place}/{name}", content


def _manifest_without_corruptions(content: bytes) -> bytes:
    """The manifest of what goes along."""
    kept = {n: v for n, v in json.loads(content).items() if not n.startswith("corrupt/")}
    return (json.dumps(kept, indent=2) + "\n").encode()
