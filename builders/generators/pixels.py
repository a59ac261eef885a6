"""From a network's output to a task's images, block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, joined, shown, squared
from nogs_bench.randomness import torch_generator


def in_blocks(
    start: int, count: int, block: int, make: Callable[[range], LabelledImages]
) -> LabelledImages:
    """Images `start .. start + count - 1`, cut from whole blocks.

    Floating point makes an image depend, in its last bits, on how many share its batch. `make` is
    therefore only asked for ranges of `block` images that begin at a multiple of `block`, so that
    any range gives the same bytes.
    """
    if start < 0 or count < 1:
        raise NogsError(f"cannot generate {count} images from number {start}")
    first = start - start % block
    parts = [make(range(at, at + block)) for at in range(first, start + count, block)]
    return joined(parts)[slice(start - first, start - first + count)]


def normals(shape: tuple[int, ...], seed: int, name: str, numbers: range) -> Tensor:
    """float32 (len(numbers), *shape) on the CPU: standard normals, from each image's own stream."""
    cpu = torch.device("cpu")
    return torch.stack(
        [torch.randn(shape, generator=torch_generator(cpu, seed, name, i)) for i in numbers]
    )


def integers(bound: int, seed: int, name: str, numbers: range) -> Tensor:
    """int64 (len(numbers),): uniform on 0 .. bound - 1, from each image's own stream."""
    cpu = torch.device("cpu")
    drawn = [
        torch.randint(bound, (), generator=torch_generator(cpu, seed, name, i)) for i in numbers
    ]
    return torch.stack(drawn)


def to_images(values: Tensor, channels: int, size: int) -> np.ndarray:
    """uint8 (n, channels, size, size) of float (n, 1 or 3, h, w) in -1 .. 1, clipped."""
    bytes_ = ((values.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    return np.stack([fit(pixels, channels, size) for pixels in bytes_])


def fit(pixels: np.ndarray, channels: int, size: int) -> np.ndarray:
    """uint8 (channels, size, size) of one image, uint8 (1 or 3, h, w): cut square, then resized.

    By the one decoder (`nogs_bench.images.squared`), so that the bank and the images it completes
    went through the same cut and filter.
    """
    layers = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return squared(shown(Image.fromarray(layers), channels), size)


def unlabelled(images: np.ndarray, labels: int) -> LabelledImages:
    """`images` with `labels` columns of -1."""
    return LabelledImages(images, np.full((len(images), labels), -1, np.int64))
