"""What a study may say about augmentation: bounds within which each slice draws its own."""

from pydantic import Field

from spinforge.simulation.config import Config

_INTERPOLATING = {"rotation_deg": 0.0, "scale": 0.0, "crop": 1.0}
"""Fields that move pixels by fractions of one, and the values at which they do nothing."""


class Augmentation(Config):
    """Changes of the training slices, drawn anew for each slice and epoch; by default none.

    Geometry moves image and labels together. What a scanner does (bias field, motion, noise)
    leaves the labels alone, and of k-space sets acts on k-space before lines are left out.
    """

    flip_vertical: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that a slice is turned over along its first axis (rows; of "
        "k-space sets left-right)",
    )
    flip_horizontal: float = Field(
        0.0, ge=0, le=1, description="the same along the second axis (columns)"
    )
    rotation_deg: float = Field(
        0.0, ge=0, le=180, description="largest rotation about the middle, either way [degree]"
    )
    scale: float = Field(
        0.0, ge=0, le=0.5, description="largest relative change of size, larger or smaller"
    )
    crop: float = Field(
        1.0,
        ge=0.25,
        le=1,
        description="smallest share of height and width that a window anywhere in the slice may "
        "have, which is then enlarged to the whole; 1 crops nothing",
    )
    inu_percent: float = Field(
        0.0,
        ge=0,
        le=100,
        description="largest range of a smooth bias field [% of its middle]",
    )
    motion: float = Field(
        0.0,
        ge=0,
        le=20,
        description="largest rotation [degree] and shift [pixel] of a head that moves twice after "
        "the centre of k-space was acquired",
    )
    noise_percent: float = Field(
        0.0,
        ge=0,
        le=100,
        description="largest standard deviation of noise that is added [% of a network's input of "
        "1: the 99th percentile]; magnitudes become Rician",
    )
    timing_percent: float = Field(
        0.0,
        ge=0,
        le=50,
        description="TR and TE of each scan differ by up to this from their means [%]; needs "
        "training.fresh scans or anatomy",
    )

    @property
    def interpolates(self) -> bool:
        """Whether pixels move by fractions of one."""
        return any(getattr(self, name) != nothing for name, nothing in _INTERPOLATING.items())

    @property
    def is_geometric(self) -> bool:
        """Whether labels move."""
        return bool(self.flip_vertical or self.flip_horizontal) or self.interpolates

    @property
    def is_physical(self) -> bool:
        """Whether the scanner does something to stored slices."""
        return bool(self.inu_percent or self.motion or self.noise_percent)

    @property
    def is_active(self) -> bool:
        """Whether batches are changed at all; the timing is another scan's."""
        return self.is_geometric or self.is_physical

    def named(self, *, geometric: bool = False, physical: bool = False) -> str:
        """Which interpolating or physical settings are on, for messages."""
        fields = list(_INTERPOLATING) * geometric
        fields += ["inu_percent", "motion", "noise_percent"] * physical
        default = Augmentation()
        return ", ".join(
            f"training.augmentation.{name}"
            for name in fields
            if getattr(self, name) != getattr(default, name)
        )
