"""Augmentation of training batches: drawn on the processor, applied on the device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from spinforge.models.augmentation.draws import Draws, draw_augmentation, slice_paths
from spinforge.models.augmentation.geometry import (
    flipped,
    placed_image,
    placed_labels,
    placement,
)
from spinforge.models.augmentation.physics import (
    bias_fields,
    complex_noise,
    rician,
    with_motion,
)
from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.simulation.arrays import CoilImages
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace, kspace_to_image
from spinforge.simulation.reconstruction import (
    combine_coils,
    intensity_scale,
    real_channels,
    zero_filled_combined,
)

DRAWS = "draws"
"""Key of the drawn parameters in a batch."""

Batch = dict[str, Any]


class Augmenter:
    """Augments batches as a configuration says; always the same for one seed, epoch and slice.

    `drawn` runs where the batch is still on the processor, `applied` where it will be used. Neither
    waits for a GPU. On the processor each item is computed alone, as batches may round differently.
    Images are taken for magnitudes, each channel another scan; what has a phase comes as k-space.

    Args:
        config: What to do.
        seed: Seed of the draws.
        gives_images: Whether the network reads images; batches of k-space then become images, after
            the scanner did its part and lines were left out.

    Raises:
        SpinforgeError: If a network of k-space were to have its slices interpolated.
    """

    def __init__(self, config: Augmentation, *, seed: int, gives_images: bool) -> None:
        require_augmentable(config, gives_images=gives_images)
        self._config, self._seed, self._gives_images = config, seed, gives_images

    def drawn(self, batch: Mapping[str, Any], epoch: int) -> Batch:
        """The batch and its drawn parameters.

        Args:
            batch: On the processor, but for its large tensors; must say what slices it holds.
            epoch: Counted from 0.

        Raises:
            SpinforgeError: If it does not.
        """
        # Of a sequence each age's contrasts; the coils of k-space are one scan.
        n_scans = 1 if "kspace" in batch else batch["image"].shape[1:-2].numel()
        paths = slice_paths(batch, epoch)
        draws = draw_augmentation(self._config, paths, n_scans, seed=self._seed)
        return {**batch, DRAWS: draws}

    @torch.no_grad()
    def applied(self, batch: Batch) -> Batch:
        """The batch, augmented by the parameters it brings; without any, as it is.

        Args:
            batch: On one device.
        """
        if DRAWS not in batch:
            return batch
        draws: Draws = batch[DRAWS]
        tensors = {name: batch[name] for name in _CHANGED if name in batch}
        rest = {name: batch[name] for name in batch if name not in (*_CHANGED, DRAWS)}
        device, count = batch["target"].device.type, len(batch["target"])
        # Autocasting would compute bias fields in half precision.
        with torch.autocast(device, enabled=False):
            if device != "cpu":
                return rest | self._augmented(tensors, draws)
            items = [
                self._augmented({n: v[i : i + 1] for n, v in tensors.items()}, draws.of_item(i))
                for i in range(count)
            ]
        return rest | {name: torch.cat([item[name] for item in items]) for name in items[0]}

    def _augmented(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        if "kspace" in batch:
            return self._measured(batch["kspace"], batch["mask"], batch, draws)
        moved = self._moved(batch["image"], batch["target"], draws)
        if self._config.is_physical:
            moved["image"] = self._scanned(moved["image"], draws)
        return moved

    def _moved(self, image: Tensor, target: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Image and labels after all that is geometric."""
        image, target = flipped(image, draws.flips), flipped(target, draws.flips)
        if self._config.interpolates:
            size = (image.shape[-2], image.shape[-1])
            theta = placement(draws.radians, draws.zoom, draws.window, draws.place, size)
            image, target = placed_image(image, theta), placed_labels(target, theta)
        return {"image": image, "target": target}

    def _scanned(self, image: Tensor, draws: Draws) -> Tensor:
        """Magnitudes, each channel another scan.

        What is 0 in all channels of a slice stays so: there the skull was taken off, or nothing
        was.
        """
        scans = image.flatten(1, -3)
        size = (image.shape[-2], image.shape[-1])
        if self._config.inu_percent:
            scans = scans * bias_fields(draws.inu, draws.shape, size)
        if self._config.motion:
            heads = scans.flatten(0, 1).to(torch.complex64)
            moving = with_motion(heads, draws.moments.flatten(0, 1), draws.poses.flatten(0, 1))
            scans = moving.abs().view_as(scans)
        if self._config.noise_percent:
            scans = rician(scans, complex_noise(draws.noise, draws.noise_keys, size))
        is_something = (image != 0).any(-3, keepdim=True)
        return torch.where(is_something, scans.view_as(image), 0)

    def _measured(
        self, kspace: Tensor, mask: Tensor, batch: dict[str, Tensor], draws: Draws
    ) -> dict[str, Tensor]:
        """k-space with all its lines, or the image of those that were acquired."""
        images, target = kspace_to_image(kspace), batch["target"]
        maps = batch.get("sensitivities")
        if not self._gives_images:
            images, target = flipped(images, draws.flips), flipped(target, draws.flips)
            maps = None if maps is None else flipped(maps, draws.flips)
        size, coils = (images.shape[-2], images.shape[-1]), images.shape[1]
        if self._config.inu_percent:
            images = images * bias_fields(draws.inu, draws.shape, size)
        if self._config.motion:
            images = _moving(images, maps, draws)
        if self._config.noise_percent:
            images = images + complex_noise(draws.noise, draws.noise_keys, size, coils=coils)
        kspace = image_to_kspace(images)
        image = zero_filled_combined(kspace, mask, kspace if maps is None else maps)
        scale = intensity_scale(image)[:, None, None]
        if self._gives_images:
            return self._moved(real_channels(image / scale), target, draws)
        shown = {"kspace": kspace / scale[:, None], "mask": mask, "target": target}
        return shown if maps is None else shown | {"sensitivities": maps}


_CHANGED = ("image", "kspace", "mask", "sensitivities", "target")
"""What of a batch is augmented; the rest only names it."""


def _moving(images: CoilImages, maps: Tensor | None, draws: Draws) -> CoilImages:
    """Images of coils that stay where they are while the head moves."""
    moments, poses = draws.moments[:, 0], draws.poses[:, 0]
    if maps is None:
        return with_motion(images[:, 0], moments, poses)[:, None]
    head = combine_coils(images, maps)
    rest = images - maps * head[:, None]
    return with_motion(head, moments, poses, seen=lambda moved: maps * moved[:, None] + rest)


def augmenter_for(config: Augmentation, network: NetworkConfig, *, seed: int) -> Augmenter | None:
    """What augments a network's training batches; None where nothing is to be done.

    Raises:
        SpinforgeError: As `Augmenter`.
    """
    if not config.is_active:
        return None
    return Augmenter(config, seed=seed, gives_images=not isinstance(network, KSpaceNetwork))


def require_augmentable(config: Augmentation, *, gives_images: bool) -> None:
    """Refuse what cannot be done to a network's slices.

    Args:
        config: What is to be done.
        gives_images: Whether the network reads images, not k-space.

    Raises:
        SpinforgeError: If a network of k-space were to have its slices interpolated.
    """
    if config.interpolates and not gives_images:
        raise SpinforgeError(
            f"{config.named(geometric=True)}: a network that starts from k-space cannot have its "
            f"slices turned, enlarged or cropped: interpolating what was measured would smooth its "
            f"noise. Leave these at their defaults; flips are exact, and training.fresh = anatomy "
            f"gives other heads"
        )
