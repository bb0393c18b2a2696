"""Finding the files of a published collection, and saying what was expected where they are not."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from spinforge.simulation.errors import SpinforgeError

Part = Literal["training", "validation", "test"]
"""What the makers of a collection call its parts; labels of the test part may be unpublished."""

NIFTI_SUFFIXES = (".nii.gz", ".nii")
_MOST_SHOWN = 12


def entries(folder: Path) -> list[Path]:
    """Files and folders in a folder, sorted, without what a computer leaves there by itself.

    macOS writes `._name` beside each file it copies to a foreign disk, with the same suffix and
    no image in it.

    Raises:
        SpinforgeError: If the folder cannot be read.
    """
    try:
        return sorted(
            path for path in folder.iterdir() if path.name[0] != "." and path.name != "__MACOSX"
        )
    except OSError as error:
        raise SpinforgeError(f"{folder} cannot be read: {error.strerror}.") from error


def entries_below(folder: Path, above: frozenset[Path] = frozenset()) -> list[Path]:
    """Files below a folder at any depth, sorted, with the same exceptions as `entries`.

    Args:
        folder: Where to start.
        above: Folders that are not entered again, if a link leads back to them.
    """
    files: list[Path] = []
    above |= {folder.resolve()}
    for path in entries(folder):
        if path.is_dir() and path.resolve() not in above:
            files += entries_below(path, above)
        elif path.is_file():
            files.append(path)
    return sorted(files)


def named_folder(root: Path, name: str) -> Path | None:
    """A folder of a collection: `root` itself, one in it, or one two levels below.

    Archives are unpacked into folders of their own name, by some tools twice.
    """
    if root.name == name and not (root / name).is_dir():
        return root if root.is_dir() else None
    for above in (root, *(entries(root) if root.is_dir() else ())):
        if (above / name / name).is_dir():
            return above / name / name
        if (above / name).is_dir():
            return above / name
    return None


def one_file(folder: Path, *stems: str, suffixes: Iterable[str] = NIFTI_SUFFIXES) -> Path | None:
    """The file of a volume; of several stems the first that is there.

    Raises:
        SpinforgeError: If it is there twice, compressed and not.
    """
    for stem in stems:
        paths = [folder / f"{stem}{suffix}" for suffix in suffixes]
        if found := [path for path in paths if path.is_file()]:
            return only(found)
    return None


def only(paths: list[Path]) -> Path:
    """The one path.

    Raises:
        SpinforgeError: If there are several: files that should be one and the same.
    """
    if len(paths) > 1:
        raise SpinforgeError(
            f"{' and '.join(map(str, paths))} should be one and the same: take all but one away."
        )
    return paths[0]


def missing(path: Path, subject: str, siblings: Iterable[Path]) -> SpinforgeError:
    """Error for a file that is not there, showing what lies where it should be."""
    return SpinforgeError(
        f"{path} is missing: subject {subject} is not complete. There: "
        f"{_shown(sorted(sibling.name for sibling in siblings))}. Unpack the archive again."
    )


def unknown_subject(subject: str, known: list[str]) -> SpinforgeError:
    """Error for a name that no subject has."""
    return SpinforgeError(f"subject {subject} not found; there are {_shown(known)}.")


def wrong_layout(folder: Path, collection: str, tree: str) -> SpinforgeError:
    """Error that shows what a folder should look like, and what is there instead.

    Args:
        folder: What the user named.
        collection: Name of what should be in it.
        tree: Expected files and folders, a line each.
    """
    if not folder.is_dir():
        found = "it is a file" if folder.exists() else "there is no such folder"
    else:
        found = "it holds " + _shown(
            [f"{path.name}/" if path.is_dir() else path.name for path in entries(folder)]
        )
    indented = "\n".join(f"  {line}" for line in tree.strip("\n").splitlines())
    return SpinforgeError(
        f"{folder} is not {collection} as it is published: {found}. Expected in it:\n{indented}"
    )


def _shown(names: list[str]) -> str:
    rest = len(names) - _MOST_SHOWN
    listed = ", ".join(names[:_MOST_SHOWN]) or "nothing"
    return f"{listed} and {rest} more" if rest > 0 else listed
