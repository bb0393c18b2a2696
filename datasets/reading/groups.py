"""Which groups of a set hold subjects: what to say where one that was asked for does not."""

from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.errors import SpinforgeError


def corrupted_groups(store: DatasetStore) -> list[str]:
    """Groups of corrupted images with at least one complete subject, such as "corrupt/noise/3"."""
    groups = [
        f"corrupt/{name}/{strength}"
        for name in sorted(store.location.folders("corrupt"))
        for strength in sorted(store.location.folders(f"corrupt/{name}"))
    ]
    return [group for group in groups if store.within(group).complete_subjects()]


def no_subjects(store: DatasetStore) -> SpinforgeError:
    """Error for a group without complete subjects: what there is instead, and how to make it.

    Args:
        store: A set that exists, seen as the subjects of that group.
    """
    problem = f"{store.path}: group {store.group} has no complete subject"
    clean = str(store.attributes()["kind"])
    if store.group == clean:
        return SpinforgeError(f"{problem} yet. Make them with: spinforge generate STUDY.yaml")
    there = [clean] if store.within(clean).complete_subjects() else []
    there += corrupted_groups(store)
    return SpinforgeError(
        f"{problem}; groups that have: {', '.join(there) or 'none'}. Choose one of them with "
        f"--group, or make corrupted images with: spinforge corrupt STUDY.yaml"
    )
