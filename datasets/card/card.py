"""The data card of any set: what it is, how it was made, what it holds, slices to look at."""

from spinforge.datasets.card.content import Card
from spinforge.datasets.card.examples import corruption_rows, examples
from spinforge.datasets.card.set_facts import (
    ABOUT,
    balance_table,
    classes_of,
    count_subjects,
    set_facts,
    settings,
    subject_table,
)
from spinforge.datasets.splits import Split
from spinforge.datasets.storage.store import DatasetStore


def describe_set(store: DatasetStore, split: Split | None = None, title: str = "") -> Card:
    """Look at a set, clean and corrupted images alike.

    Args:
        store: Any group of the set.
        split: Who trains, validates and tests; only the study knows.
        title: Name of the set; by default that of its folder.

    Raises:
        SpinforgeError: If there is no set, no complete subject, or one is damaged.
    """
    store = store.within(str(store.attributes()["kind"]))
    counted = count_subjects(store)
    classes = classes_of(counted)
    shown = next((s for s in (split.test if split else ()) if s in counted), next(iter(counted)))
    corruptions, corruption_table = corruption_rows(store, shown)
    made_with = settings(store)
    product = made_with.get("product", "k-space")
    tables = [balance_table(counted, classes)] if any(c.labels for c in counted.values()) else []
    tables += [corruption_table] if corruptions else []
    files = store.location.files("corrupt")
    return Card(
        title=title or str(store.path).rstrip("/").rpartition("/")[2],
        summary=f"{ABOUT.get(store.group, '')} Product {product}: "
        f"{_count(len(counted), 'subject')}, "
        f"{_count(sum(c.slices for c in counted.values()), 'slice')}"
        + (f", {_count(len(corruptions), 'corruption')}." if corruptions else "."),
        facts=set_facts(store, counted, split, sum(files.values())),
        classes=classes,
        tables=[*tables, subject_table(counted, split)],
        examples=examples(store, shown),
        corruptions=corruptions,
        settings=made_with,
    )


def facts_of(store: DatasetStore, split: Split) -> dict[str, dict[str, str]]:
    """What a report says of the set: the facts of its card, and the share of each class.

    Args:
        store: Any group of the set.
        split: Who trains, validates and tests.

    Returns:
        Section -> name -> value, all as text.

    Raises:
        SpinforgeError: If there is no set, no complete subject, or one is damaged.
    """
    store = store.within(str(store.attributes()["kind"]))
    counted = count_subjects(store)
    facts = set_facts(store, counted, split, corrupted=0)
    balance = balance_table(counted, classes_of(counted))
    facts["Class balance"] = {name: share for name, _, _, share, _ in balance.rows if share}
    return facts


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
