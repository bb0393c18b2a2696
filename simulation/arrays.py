"""Named array shapes: the one place where axis order is written down.

Volumes are (x, y, z) in RAS order: x left to right, y posterior to anterior, z inferior to
superior; for BrainWeb the sign of x has not been verified. Slices are (ky, kx): phase encoding (x,
left-right, undersampled), then readout (y, anterior-posterior, fully sampled).
"""

from jaxtyping import Bool, Complex, Float, Integer
from torch import Tensor

Memberships = Float[Tensor, "tissue x y z"]
"""Fraction of each tissue in each voxel; sums to 1 over `tissue`."""

SliceMemberships = Float[Tensor, "slice tissue ky kx"]
"""Memberships averaged over each slice's thickness, in acquisition axes."""

SoftTargets = Float[Tensor, "slice target ky kx"]
"""Memberships of background, CSF, GM and WM; sums to 1 over `target`."""

ImageChannels = Float[Tensor, "*batch channel ky kx"]
"""What an image network takes: real and imaginary part, or contrasts, as channels."""

ComplexImage = Complex[Tensor, "*batch ky kx"]
KSpace = Complex[Tensor, "*batch ky kx"]
"""Centred and orthonormal: zero frequency at index N // 2 of both axes."""

CoilImages = Complex[Tensor, "*batch coil ky kx"]
"""Images, k-space or receive sensitivities of every coil."""

CoilKSpace = Complex[Tensor, "slice coil ky kx"]
RecordedKSpace = Complex[Tensor, "slice coil _ky _kx"]
"""The same, of an object that may have more points than k-space has samples."""

CoilMaps = Complex[Tensor, "#slice coil ky kx"]
"""Receive sensitivities; one slice where they are the same for all."""

FinerCoilMaps = Complex[Tensor, "#slice coil _ky _kx"]
"""The same at every point of a supersampled object."""

OffResonance = Float[Tensor, "slice ky kx"]
"""Deviation from the scanner's frequency [Hz]."""

LineMask = Bool[Tensor, "*batch ky"]
"""True where a phase-encoding line was acquired."""

Labels = Integer[Tensor, "*batch ky kx"]
LabelVolume = Integer[Tensor, "x y z"]
