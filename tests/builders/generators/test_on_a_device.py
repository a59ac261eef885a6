"""Generators on a device that is not the CPU make the images that the CPU makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from nogs_bench.builders.generators.gan.generator import Gan
from nogs_bench.builders.generators.gan.training import GanTraining, train_gan
from nogs_bench.builders.generators.stylegan.generator import StyleGan
from nogs_bench.builders.generators.stylegan.layout import LAYOUTS
from pretended import Device, device  # noqa: F401
from tiny import corner_images, corner_task

TINY = GanTraining(steps=6, batch_size=8, width=4, checkpoint_period=2)


def test_a_gan_is_trained_and_drawn_from(device: Device, tmp_path: Path):  # noqa: F811
    made = {}
    for where in ("cpu", "cuda"):
        path = train_gan(corner_images(0, 40), (4,), tmp_path / where, 0, TINY, where)
        made[where] = Gan(path, corner_task(), where).sample(1, 3, 9)
    np.testing.assert_allclose(made["cuda"].images, made["cpu"].images, atol=1)
    np.testing.assert_array_equal(made["cuda"].labels, made["cpu"].labels)


def test_a_stylegan_is_drawn_from(device: Device, tmp_path: Path):  # noqa: F811
    stream = torch.Generator().manual_seed(0)
    table = LAYOUTS["lernapparat"].entries((6, 5, 4), 8)
    weights = {entry.name: torch.randn(entry.shape, generator=stream) for entry in table}
    save_file(weights, tmp_path / "g.safetensors")
    found, expected = (
        StyleGan(tmp_path / "g.safetensors", corner_task(), where, 0.7).sample(1, 0, 9).images
        for where in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found, expected, atol=1)
