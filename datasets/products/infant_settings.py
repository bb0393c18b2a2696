"""What a study may say about an infant series; the defaults are FCSLSTM's two collections."""

from typing import Any, Literal

from pydantic import Field, model_validator

from spinforge.datasets.products.product import ProductSettings
from spinforge.simulation.phantoms.infant import OLDEST_MONTHS
from spinforge.simulation.rng import RNG_SCHEME

SERIES = "infants-1"
"""Version of the series; whatever changes a stored byte changes it."""

ONE_YEAR_MONTHS = 9
"""From this age on white matter is clearly brighter than grey matter in T1-weighted images."""


class InfantProduct(ProductSettings):
    """What both collections have in common.

    The split is by age, as the paper's is: every subject trains a network at some ages and tests
    it at others. Nothing can be said from it about subjects that were never seen.
    """

    subjects: int = Field(10, ge=1, le=999, description="number of infants")
    ages_months: tuple[int, ...] = Field(
        (0, 3, 6, 9, 11), min_length=1, description="ages at which each is scanned [months]"
    )
    test_ages_months: tuple[int, ...] = Field(
        (6,), min_length=1, description="ages nobody trains on [months]"
    )
    spacing_mm: Literal[1, 2, 4] = Field(
        1, description="voxel size [mm]; 4 is for smoke tests, its slices are 4 mm thick"
    )
    noise_percent: float = Field(
        3.0,
        ge=0,
        le=100,
        description="Rician noise, of white matter's signal in the same contrast at the same age "
        "[%], on each of the real and imaginary channel",
    )
    margin_mm: int = Field(
        8, ge=0, le=40, description="what is kept around the largest brain of a subject [mm]"
    )

    @model_validator(mode="after")
    def _ages_fit(self) -> "InfantProduct":
        if list(self.ages_months) != sorted(set(self.ages_months)):
            raise ValueError(f"ages_months must rise, got {list(self.ages_months)}")
        if self.ages_months[0] < 0 or self.ages_months[-1] > OLDEST_MONTHS:
            raise ValueError(
                f"ages_months must be from 0 to {OLDEST_MONTHS:g}, got {list(self.ages_months)}"
            )
        if unknown := sorted(set(self.test_ages_months) - set(self.ages_months)):
            raise ValueError(f"test_ages_months: {unknown} are none of ages_months")
        if not set(self.ages_months) - set(self.test_ages_months):
            raise ValueError("test_ages_months: no age is left for training")
        return self

    @property
    def train_ages_months(self) -> tuple[int, ...]:
        """Ages a network learns from."""
        return tuple(age for age in self.ages_months if age not in self.test_ages_months)

    @property
    def names(self) -> list[str]:
        """Subjects, sorted."""
        return [f"infant-{index:03d}" for index in range(self.subjects)]

    def recipe(self) -> dict[str, Any]:
        """What determines one subject's bytes; not how many there are or which ages test."""
        settings = self.model_dump(mode="json", exclude={"subjects", "test_ages_months"})
        return settings | {"series": SERIES, "rng_scheme": RNG_SCHEME}


class InfantBric(InfantProduct):
    """After the BRIC infants: five ages, one slice of each volume is labelled."""

    product: Literal["infant_bric"] = Field(
        description="five ages of the first year, one labelled slice a volume"
    )


class InfantIbis(InfantProduct):
    """After the IBIS infants: no manual labels, pseudo-labels at the later ages."""

    product: Literal["infant_ibis"] = Field(
        description="6, 12 and 24 months; labels of an automatic segmentation at the last two"
    )
    ages_months: tuple[int, ...] = Field(
        (6, 12, 24), min_length=1, description="ages at which each is scanned [months]"
    )

    @model_validator(mode="after")
    def _labels_can_be_found(self) -> "InfantIbis":
        if min(self.train_ages_months) < ONE_YEAR_MONTHS:
            raise ValueError(
                f"ages_months below {ONE_YEAR_MONTHS} must be test ages: there white matter is no "
                f"brighter than grey matter, and an automatic segmentation finds neither"
            )
        return self
