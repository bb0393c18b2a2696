"""Batch normalisation over the batches of all processes, also where PyTorch has none."""

import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn

from spinforge.models.collective import sum_over_processes


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose mean and variance are those of all processes' batches together.

    What PyTorch's `SyncBatchNorm` does on GPUs, for processors. In evaluation it is the usual one.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (batch, channel, ky, kx), and follow the running statistics.

        Source:
            Ioffe and Szegedy, "Batch normalization" (ICML 2015), alg. 1; the variance that is
            followed is the unbiased one, as in PyTorch.
        """
        if not self.training:
            return super().forward(features)
        values, axes = features.float(), (0, 2, 3)
        own = values.new_tensor(values.numel() // values.shape[1])
        count = sum_over_processes(own)
        mean = sum_over_processes(values.sum(axes)) / count
        centred = values - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(features.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class GlobalStatistics(LayerSync):
    """Tells Lightning to train with `GlobalBatchNorm`; names and weights stay what they are."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Change every batch normalisation in place."""
        return _retyped(model, nn.BatchNorm2d, GlobalBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        """Change them back."""
        return _retyped(model, GlobalBatchNorm, nn.BatchNorm2d)


def _retyped(model: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> nn.Module:
    """The same modules, those of one type computing as the other, which has the same state."""
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
