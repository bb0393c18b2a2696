"""Layers of networks written in NumPy, in float64, one or two lines each."""

import numpy as np


def weights(module):
    """Weights of a module as arrays, in PyTorch's order: kernel, then bias."""
    return [weight.detach().numpy() for weight in module.parameters()]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def convolution(x, kernel, bias):
    """Zero padding that keeps the size; x (batch, in, ky, kx), kernel (out, in, k, k);
    bias (out) or 0."""
    size = kernel.shape[-1]
    x = np.pad(x, ((0, 0), (0, 0), *[(size // 2, size // 2)] * 2))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return np.einsum("bcyxij,ocij->boyx", windows, kernel) + np.reshape(bias, (-1, 1, 1))


def transposed_convolution(x, kernel, bias, *, padding):
    """Stride 2; kernel (in, out, k, k). Each input pixel adds a kernel, two pixels further on."""
    batch, _, rows, columns = x.shape
    size = kernel.shape[-1]
    total = np.zeros((batch, kernel.shape[1], 2 * rows + size - 2, 2 * columns + size - 2))
    for i in range(size):
        for j in range(size):
            added = np.einsum("bcyx,co->boyx", x, kernel[:, :, i, j])
            total[:, :, i : i + 2 * rows : 2, j : j + 2 * columns : 2] += added
    kept = slice(padding, -padding or None)
    return total[:, :, kept, kept] + bias[:, None, None]


def max_pool(x):
    batch, channels, rows, columns = x.shape
    return x.reshape(batch, channels, rows // 2, 2, columns // 2, 2).max(axis=(3, 5))


def group_norm(x, scale, shift, *, n_groups):
    grouped = x.reshape(x.shape[0], n_groups, -1)
    mean, variance = (f(grouped, axis=2, keepdims=True) for f in (np.mean, np.var))
    normal = ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    return normal * scale[:, None, None] + shift[:, None, None]


def bilinear(x, size):
    """To (rows, columns), corner pixels on corner pixels: weights along one axis after another."""
    for axis, wanted in zip((2, 3), size, strict=True):
        given = x.shape[axis]
        places = np.arange(wanted) * (given - 1) / max(wanted - 1, 1)
        tents = np.maximum(0, 1 - abs(places[:, None] - np.arange(given)))
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ tents.T, -1, axis)
    return x
