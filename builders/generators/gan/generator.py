"""A bank from the package's own small conditional GAN: `gan`, or `gan:FILE` for a trained one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nogs_bench.builders.generators.gan.network import GanGenerator, GanSizes
from nogs_bench.builders.generators.gan.training import GanTraining, train_gan
from nogs_bench.builders.generators.generator import (
    GENERATORS,
    Generator,
    Setting,
    at_least_one,
    required_file,
    split_options,
)
from nogs_bench.builders.generators.pixels import in_blocks, integers, normals, to_images
from nogs_bench.device import device_kind
from nogs_bench.errors import NogsError
from nogs_bench.files import Provenance, digest_file, load_checkpoint, resumed
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import Task

BLOCK = 64


def read_gan(path: Path) -> tuple[GanGenerator, torch.Tensor]:
    """The generator that `train_gan` wrote, and the labels (m, labels) that it was trained with."""
    state = load_checkpoint(path)
    if not {"sizes", "weights", "labels"} <= set(state):
        raise NogsError(f"{path} is no generator; train one with --bank gan")
    network = GanGenerator(GanSizes.of(state["sizes"]))
    network.load_state_dict(state["weights"])
    return network.eval().requires_grad_(False), state["labels"]


class Gan:
    """Labelled images: labels as they occur together in the training images, images given them."""

    def __init__(self, path: Path, task: Task, device: str):
        self.task, self.device = task, torch.device(device)
        network, self.labels = read_gan(path)
        classes = tuple(len(label.classes) for label in task.labels)
        if network.sizes.classes != classes:
            raise NogsError(f"{path} was trained for other labels than {task.name}'s")
        self.network = network.to(self.device)
        self.config: Mapping[str, Any] = {
            "generator": "gan",
            "weights": digest_file(path),
            "device": self.device.type,
        }

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`."""
        return in_blocks(start, count, BLOCK, lambda numbers: self._block(seed, numbers))

    @torch.inference_mode()
    def _block(self, seed: int, numbers: range) -> LabelledImages:
        labels = self.labels[integers(len(self.labels), seed, "gan-label", numbers)]
        z = normals((self.network.sizes.noise,), seed, "gan", numbers)
        images = self.network(z.to(self.device), labels.to(self.device))
        fitted = to_images(images, self.task.channels, self.task.image_size)
        return LabelledImages(fitted, labels.numpy())


@GENERATORS.register("gan")
def open_gan(argument: str, setting: Setting) -> Generator:
    """`gan:FILE`, or `gan`, which trains one first on the images that train the AVP.

    Option of the latter: `gan,steps=N`.
    """
    file, options = split_options(argument, {"steps": at_least_one}, "gan")
    if file and options:
        raise NogsError(f"--bank gan:{argument}: what is in a file is trained; leave steps out")
    if file:
        path = required_file(file, f"gan:{argument}", "train one with --bank gan")
        return Gan(path, setting.task, setting.device)
    settings, images = GanTraining(**options), setting.training()
    config = asdict(settings) | {"device": device_kind(setting.device), **setting.exactness}
    provenance = Provenance("gan", config, setting.seed, {"images": images.digest()})
    path = setting.folder / f"{provenance.name}.safetensors"
    if resumed(path) is None and not setting.mirror.pull(path):
        setting.folder.mkdir(parents=True, exist_ok=True)
        classes = tuple(len(label.classes) for label in setting.task.labels)
        train_gan(images, classes, path, setting.seed, settings, setting.device)
        setting.mirror.push(path)
    return Gan(path, setting.task, setting.device)
