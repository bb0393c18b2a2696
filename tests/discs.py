"""Small, exactly known slices for the tests of networks and training."""

import torch


class Discs:
    """Slices with three nested discs, each tissue of its own brightness, and a little noise.

    Satisfies `SliceDataset`. The noise changes with the epoch, as sampling masks do; `epochs`
    records what `set_epoch` was told, `visits` the (epoch, slice) pairs that were read.
    """

    n_classes = 4

    def __init__(self, count, *, size=(32, 24), n_channels=2, noise=0.1):
        self.n_channels = n_channels
        self.size, self.count, self.noise, self.epoch = size, count, noise, 0
        self.epochs, self.visits = [], []

    def __len__(self):
        return self.count

    def set_epoch(self, epoch):
        self.epoch = epoch
        self.epochs.append(epoch)

    def __getitem__(self, index):
        self.visits.append((self.epoch, index))
        generator = torch.Generator().manual_seed(1000 * self.epoch + index)
        rows, columns = self.size
        y = torch.linspace(-1, 1, rows)[:, None] - 0.1 * (index % 3 - 1)
        x = torch.linspace(-1, 1, columns)[None, :] + 0.1 * (index % 2)
        radius = torch.sqrt(x**2 + y**2)
        target = sum((radius < edge).long() for edge in (0.8, 0.55, 0.3))
        clean = torch.tensor([0.0, 1.0, 0.3, 0.7])[target]
        noise = self.noise * torch.randn(self.n_channels, *self.size, generator=generator)
        return {
            "image": clean + noise,
            "target": target,
            "subject": f"sub-{index // 4:02d}",
            "slice": index % 4,
        }
