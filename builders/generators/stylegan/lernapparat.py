"""The layout of lernapparat's conversion of the official weights (`....for_g_all.pt`).

Published by P. Bialecki and T. Viehmann at github.com/lernapparat/lernapparat; the mapping network
learns at a hundredth of the rate, AdaIN's scales are stored less one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from nogs_bench.builders.generators.stylegan.layout import LAYOUTS, MAPPINGS, Entry, Layout

# Of the mapping network's learning rate (Karras et al. 2018, appendix C).
RATE = 0.01


def _lernapparat(channels: tuple[int, ...], latent: int) -> Iterator[Entry]:
    for layer in range(MAPPINGS):
        theirs, ours = f"g_mapping.dense{layer}", f"mapping.{layer}"
        yield Entry(f"{theirs}.weight", (latent, latent), f"{ours}.weight", RATE * sqrt(2 / latent))
        yield Entry(f"{theirs}.bias", (latent,), f"{ours}.bias", RATE)
    for block, count in enumerate(channels):
        theirs = f"g_synthesis.blocks.{4 * 2**block}x{4 * 2**block}"
        ours = f"blocks.{block - 1}" if block else "first"
        conv = "conv1" if block else "conv"
        if block:
            before = channels[block - 1]
            gain = sqrt(2 / (9 * before))
            shape = (count, before, 3, 3)
            yield Entry(f"{theirs}.conv0_up.weight", shape, f"{ours}.up.weight", gain)
            yield Entry(f"{theirs}.conv0_up.bias", (count,), f"{ours}.up.bias")
        else:
            yield Entry(f"{theirs}.const", (1, count, 4, 4), "first.constant")
            yield Entry(f"{theirs}.bias", (count,), "first.constant")
        gain = sqrt(2 / (9 * count))
        yield Entry(f"{theirs}.{conv}.weight", (count, count, 3, 3), f"{ours}.conv.weight", gain)
        yield Entry(f"{theirs}.{conv}.bias", (count,), f"{ours}.conv.bias")
        for layer in (1, 2):
            epilogue, style = f"{theirs}.epi{layer}", f"{ours}.layer{layer}.style"
            noise = f"{epilogue}.top_epi.noise.weight"
            yield Entry(noise, (count,), f"{ours}.layer{layer}.noise")
            linear = f"{epilogue}.style_mod.lin"
            gain = sqrt(1 / latent)
            yield Entry(f"{linear}.weight", (2 * count, latent), f"{style}.weight", gain)
            yield Entry(f"{linear}.bias", (2 * count,), f"{style}.bias")
    gain = sqrt(1 / channels[-1])
    yield Entry("g_synthesis.torgb.weight", (3, channels[-1], 1, 1), "rgb.weight", gain)
    yield Entry("g_synthesis.torgb.bias", (3,), "rgb.bias")


LAYOUTS.add(
    "lernapparat",
    Layout(
        root=None,
        first="g_synthesis.blocks.4x4.conv.weight",
        block="g_synthesis.blocks.{size}x{size}.conv1.weight",
        latent="g_mapping.dense0.weight",
        entries=_lernapparat,
        bias_first=False,
        one_noise=False,
        scale_plus_one=True,
    ),
)
