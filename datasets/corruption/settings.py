"""What a study may say about corruption sets: chains of corruptions, each at several strengths."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from spinforge.datasets.splits import Split
from spinforge.simulation.config import Config, content_hash
from spinforge.simulation.corruption.corrupt import KINDS, RESCANS, Corruption, ImageCorruption
from spinforge.simulation.corruption.noise import RicianNoise
from spinforge.simulation.corruption.rescan import Rescan
from spinforge.simulation.corruption.volume import PercentConfig, SamplePath
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.rng import RNG_SCHEME

CORRUPTION = "corruption-2"
"""Version of the corruptions; whatever changes a corrupted byte changes it."""

CLEAN = "clean"
"""What tables of scores call the clean images; no set may be named so."""

FIXED = "fixed"
"""Strength of a chain in which every corruption says its own."""

BRAINWEB_NOISE_PERCENT = (0.0, 1.0, 3.0, 5.0, 7.0, 9.0)
BRAINWEB_INU_PERCENT = (0, 20, 40)

Level = Annotated[int, Field(ge=0, le=5)]
Percent = Annotated[float, Field(ge=-100, le=100)]


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _one_set(value: Any) -> Any:
    return {"name": value, "chain": [value]} if isinstance(value, str) else value


def _words(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class CorruptedSet:
    """One chain at one strength: one group of the store.

    Attributes:
        name: Of the set.
        strength: Last part of its group: a level, a percentage, or "fixed".
        level: The set's level; None for a percentage or a fixed chain.
        percent: The set's percentage, if it has one.
        chain: Every corruption with its strength.
        couple_levels: Whether all strengths draw the same random numbers.
        seed: Root seed.
    """

    name: str
    strength: str
    level: int | None
    percent: float | None
    chain: tuple[Corruption, ...]
    couple_levels: bool
    seed: int

    @property
    def group(self) -> str:
        """Its group in the store."""
        return f"corrupt/{self.name}/{self.strength}"

    @property
    def recipe(self) -> dict[str, Any]:
        """All that determines its bytes besides the clean images."""
        return {
            "chain": [corruption.model_dump(mode="json") for corruption in self.chain],
            "couple_levels": self.couple_levels,
            "seed": self.seed,
            "corruption_version": CORRUPTION,
            "rng_scheme": RNG_SCHEME,
        }

    @property
    def config_hash(self) -> str:
        """SHA-256 of `recipe`."""
        return content_hash(self.recipe)

    @property
    def rescans(self) -> list[Rescan]:
        """Corruptions that are another scan; they come first."""
        return [corruption for corruption in self.chain if isinstance(corruption, RESCANS)]

    @property
    def of_images(self) -> list[ImageCorruption]:
        """Corruptions of what the scan delivers."""
        return [corruption for corruption in self.chain if not isinstance(corruption, RESCANS)]

    @property
    def needs_phantom(self) -> bool:
        """Whether a subject is simulated again."""
        return any(not rescan.is_nothing for rescan in self.rescans)

    def path(self, subject: str, contrast: str) -> SamplePath:
        """Where the random numbers of one image come from.

        The name of the set is no part of it: the same corruption at the same place and strength
        draws the same in every set, so that two of them differ by what else is in their chains.
        """
        return SamplePath(self.seed, ("corrupt", subject, *contrast.split("/")))


class Chain(Config):
    """Corruptions one after the other, at several strengths; or just the name of one."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        max_length=64,
        description="name of the set: lower case, digits, hyphen, underscore",
    )
    chain: tuple[Annotated[Corruption, BeforeValidator(_kind)], ...] = Field(
        min_length=1,
        description="corruptions in the order in which they happen; those that are another scan "
        "come first, and BrainWeb has inu before noise",
    )
    levels: tuple[Level, ...] | None = Field(
        None, description="of every corruption that does not say its own; 0 is a copy of the clean"
    )
    percent: tuple[Percent, ...] | None = Field(
        None, description="the same in percent (noise, noise_gauss, inu), instead of levels"
    )

    @field_validator("name")
    @classmethod
    def _is_no_other(cls, name: str) -> str:
        if name == CLEAN:
            raise ValueError(f"{CLEAN} is what tables call images without corruption; name another")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> "Chain":
        first = [isinstance(corruption, RESCANS) for corruption in self.chain]
        if first != sorted(first, reverse=True):
            raise ValueError("corruptions that are another scan come first in a chain")
        if self.levels is not None and self.percent is not None:
            raise ValueError("give either levels or percent, not both")
        for values in (self.levels, self.percent):
            if values is not None and (not values or len(set(values)) < len(values)):
                raise ValueError(f"levels and percent need different values, got {list(values)}")
        if not self._open and (self.levels or self.percent):
            raise ValueError(
                "every corruption of the chain says its own strength; leave levels and percent out"
            )
        if self.percent is not None:
            self._check_percent(self.percent)
        return self

    def _check_percent(self, percent: tuple[float, ...]) -> None:
        for corruption in self._open:
            if not isinstance(corruption, PercentConfig):
                raise ValueError(f"{corruption.kind} has levels, no percent")
            if corruption.kind != "inu" and min(percent) < 0:
                raise ValueError(f"percent of {corruption.kind} must not be negative")

    @property
    def _open(self) -> list[Corruption]:
        """Corruptions whose strength is the set's."""
        return [corruption for corruption in self.chain if not corruption.has_strength]

    def at_strengths(
        self, levels: tuple[int, ...], *, couple_levels: bool, seed: int
    ) -> list[CorruptedSet]:
        """The chain at every strength.

        Args:
            levels: Where the chain says neither levels nor percent.
            couple_levels: Whether all draw the same random numbers.
            seed: Root seed.
        """

        def at(strength: str, level: int | None, percent: float | None) -> CorruptedSet:
            own = {"level": level} if percent is None else {"percent": percent}
            chain = tuple(c if c.has_strength else c.model_copy(update=own) for c in self.chain)
            return CorruptedSet(self.name, strength, level, percent, chain, couple_levels, seed)

        if not self._open:
            return [at(FIXED, None, None)]
        if self.percent is not None:
            return [at(f"{percent:g}", None, percent) for percent in self.percent]
        return [at(str(level), level, None) for level in self.levels or levels]


class Corruptions(Config):
    """Corruption sets of a study, made from its clean set by `spinforge corrupt`.

    In a study file also: `all`, `brainweb`, the name of a corruption, or a list of those and of
    chains.
    """

    preset: Literal["all", "brainweb"] | None = Field(
        None,
        description="all: every corruption that goes with the product, one by one; brainweb: "
        "noise 0, 1, 3, 5, 7, 9 % after INU 0, 20, 40 % (sets rf0, rf20, rf40)",
    )
    sets: tuple[Annotated[Chain, BeforeValidator(_one_set)], ...] = Field(
        (), description="further sets: each a chain of corruptions, or the name of one"
    )
    levels: tuple[Level, ...] = Field(
        (1, 2, 3, 4, 5), min_length=1, description="of every set that does not say its own"
    )
    subjects: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        ("test",),
        min_length=1,
        description="train, validation, test, all, or names of subjects; a set that is not "
        "split by subject has all of them in test",
    )
    couple_levels: bool = Field(
        False, description="all strengths draw the same random numbers, for smooth curves"
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of whatever is drawn")

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"preset": value} if value in ("all", "brainweb") else {"sets": [value]}
        return {"sets": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _names_differ(self) -> "Corruptions":
        names = [chain.name for chain in self.chains(KINDS)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sets are named {', '.join(twice)}; give each its own `name`")
        return self

    def chains(self, available: tuple[str, ...]) -> list[Chain]:
        """All chains.

        Args:
            available: Corruptions that go with the product, for the preset `all`.
        """
        presets: list[Chain] = []
        if self.preset == "all":
            presets = [Chain.model_validate({"name": k, "chain": [k]}) for k in available]
        elif self.preset == "brainweb":
            presets = brainweb_chains()
        return [*presets, *self.sets]

    def at_strengths(self, available: tuple[str, ...]) -> list[CorruptedSet]:
        """All chains at all their strengths, each one group of the store."""
        return [
            chosen
            for chain in self.chains(available)
            for chosen in chain.at_strengths(
                self.levels, couple_levels=self.couple_levels, seed=self.seed
            )
        ]

    def chosen_subjects(self, split: Split) -> list[str]:
        """Sorted names of the subjects to corrupt.

        Raises:
            SpinforgeError: If one is named that is not there.
        """
        groups = {
            "train": split.train,
            "validation": split.validation,
            "test": split.test or tuple(split.everyone),
            "all": tuple(split.everyone),
        }
        chosen: set[str] = set()
        for word in self.subjects:
            if word not in groups and word not in split.everyone:
                raise SpinforgeError(
                    f"corruptions.subjects: no {word!r}; choose train, validation, test, all or "
                    f"some of {', '.join(split.everyone)}."
                )
            chosen.update(groups.get(word, (word,)))
        return sorted(chosen)


def brainweb_chains() -> list[Chain]:
    """BrainWeb's 18 combinations of noise and INU: the field first, then the noise.

    Source:
        BrainWeb's simulated brain database: noise 0 to 9 % of the reference tissue (WM in T1, CSF
        in T2 and PD), fields A, B, C of 0, 20, 40 %.
    """
    chains = []
    for inu in BRAINWEB_INU_PERCENT:
        field = [{"kind": "inu", "percent": inu, "shape": "by_contrast"}] if inu else []
        noise = RicianNoise().model_dump()
        content = {"name": f"rf{inu}", "chain": [*field, noise], "percent": BRAINWEB_NOISE_PERCENT}
        chains.append(Chain.model_validate(content))
    return chains
