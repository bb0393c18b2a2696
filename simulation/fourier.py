"""The Fourier pair of Cartesian MRI: centred and orthonormal over the last two axes."""

import torch

from spinforge.simulation.arrays import ComplexImage, KSpace

_AXES = (-2, -1)


def image_to_kspace(image: ComplexImage) -> KSpace:
    r"""Sample the encoding integral $k = \int m(r)\,e^{-2\pi i k r}\,dr$ on a Cartesian grid.

    Orthonormal, so white noise has the same standard deviation in both domains and the energy
    is kept (Parseval). The image centre and zero frequency both sit at index N // 2.

    Args:
        image: Complex object, (..., ky, kx).

    Returns:
        k-space of the same shape and unit.
    """
    spectrum = torch.fft.fft2(torch.fft.ifftshift(image, dim=_AXES), norm="ortho")
    return torch.fft.fftshift(spectrum, dim=_AXES)


def kspace_to_image(kspace: KSpace) -> ComplexImage:
    """Invert `image_to_kspace`; with missing lines set to 0 this is zero-filling."""
    image = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=_AXES), norm="ortho")
    return torch.fft.fftshift(image, dim=_AXES)
