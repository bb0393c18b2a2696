"""A k-space set small enough to be made within seconds: three heads of 4 mm."""

from spinforge.datasets.products.kspace import KSpaceProduct
from spinforge.datasets.splits import Subjects
from spinforge.simulation.sampling import Gaussian1D
from spinforge.simulation.slices import Slices

TINY = KSpaceProduct(
    spacing_mm=4,
    slices=Slices(thickness_mm=12, count=14),
    sampling=Gaussian1D(acs_lines=4),
    subjects=Subjects(train=1, validation=1, test=1),
)
