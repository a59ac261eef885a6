"""The layout of K. Seonghyeon's training code (github.com/rosinality/style-based-gan-pytorch).

Its checkpoints hold several tables; `g_running` is the generator's moving average.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from nogs_bench.builders.generators.stylegan.layout import LAYOUTS, MAPPINGS, Entry, Layout
from nogs_bench.builders.generators.stylegan.network import FUSED_FROM


def _rosinality(channels: tuple[int, ...], latent: int) -> Iterator[Entry]:
    for layer in range(MAPPINGS):
        # Each linear layer is followed by its activation, and the first preceded by a norm.
        theirs, ours = f"style.{2 * layer + 1}.linear", f"mapping.{layer}"
        gain = sqrt(2 / latent)
        yield Entry(f"{theirs}.weight_orig", (latent, latent), f"{ours}.weight", gain)
        yield Entry(f"{theirs}.bias", (latent,), f"{ours}.bias")
    for block, count in enumerate(channels):
        theirs = f"generator.progression.{block}"
        ours = f"blocks.{block - 1}" if block else "first"
        if not block:
            yield Entry(f"{theirs}.conv1.input", (1, count, 4, 4), "first.constant")
        else:
            before = channels[block - 1]
            gain = sqrt(2 / (9 * before))
            fused = 4 * 2**block >= FUSED_FROM
            # The fused kernel is the mean of its four shifts here, and their sum in the network.
            name = f"{theirs}.conv1.0." if fused else f"{theirs}.conv1.1.conv."
            yield Entry(
                name + ("weight" if fused else "weight_orig"),
                (before, count, 3, 3) if fused else (count, before, 3, 3),
                f"{ours}.up.weight",
                gain / 4 if fused else gain,
                transposed=fused,
            )
            yield Entry(f"{name}bias", (count,), f"{ours}.up.bias")
        shape, gain = (count, count, 3, 3), sqrt(2 / (9 * count))
        yield Entry(f"{theirs}.conv2.conv.weight_orig", shape, f"{ours}.conv.weight", gain)
        yield Entry(f"{theirs}.conv2.conv.bias", (count,), f"{ours}.conv.bias")
        for layer in (1, 2):
            noise, gain = f"{theirs}.noise{layer}.weight_orig", sqrt(2 / count)
            yield Entry(noise, (1, count, 1, 1), f"{ours}.layer{layer}.noise", gain)
            linear, style = f"{theirs}.adain{layer}.style.linear", f"{ours}.layer{layer}.style"
            gain = sqrt(2 / latent)
            yield Entry(f"{linear}.weight_orig", (2 * count, latent), f"{style}.weight", gain)
            yield Entry(f"{linear}.bias", (2 * count,), f"{style}.bias")
    rgb, gain = f"generator.to_rgb.{len(channels) - 1}.conv", sqrt(2 / channels[-1])
    yield Entry(f"{rgb}.weight_orig", (3, channels[-1], 1, 1), "rgb.weight", gain)
    yield Entry(f"{rgb}.bias", (3,), "rgb.bias")


LAYOUTS.add(
    "rosinality",
    Layout(
        root="g_running",
        first="generator.progression.0.conv2.conv.weight_orig",
        block="generator.progression.{block}.conv2.conv.weight_orig",
        latent="style.1.linear.weight_orig",
        entries=_rosinality,
        bias_first=True,
        one_noise=True,
        scale_plus_one=False,
    ),
)
