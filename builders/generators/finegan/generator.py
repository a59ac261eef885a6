"""A bank from FineGAN (Singh et al. 2019), the paper's for CUB: `finegan:FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nogs_bench.builders.generators.finegan.network import FineGanNetwork, FineGanSizes
from nogs_bench.builders.generators.generator import (
    GENERATORS,
    Generator,
    Setting,
    required_file,
)
from nogs_bench.builders.generators.pixels import (
    in_blocks,
    integers,
    normals,
    to_images,
    unlabelled,
)
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file
from nogs_bench.images import LabelledImages
from nogs_bench.network import check_shapes, load_weights
from nogs_bench.tasks import Task

BLOCK = 16
HOW = "give the public netG_birds.pth as finegan:FILE (docs/generators.md says where it is)"
COUNTERS = "num_batches_tracked"


def read_finegan(path: Path) -> FineGanNetwork:
    """The network of a checkpoint, ready to use. Raises `NogsError` at a wrong name or shape."""
    weights = load_weights(path)
    try:
        sizes = FineGanSizes.of(weights)
        network = FineGanNetwork(sizes)
    except (KeyError, IndexError, RuntimeError) as error:
        raise NogsError(f"{path} is no checkpoint of FineGAN's generator; {HOW}") from error
    # How many batches were seen plays no part in inference, and older versions of torch do not
    # count them.
    ours = {k: v for k, v in network.state_dict().items() if not k.endswith(COUNTERS)}
    check_shapes(weights, {k: tuple(v.shape) for k, v in ours.items()}, path, "FineGAN")
    network.load_state_dict({name: weights[name] for name in ours}, strict=False)
    return network.eval().requires_grad_(False)


class FineGan:
    """Unlabelled images of a FineGAN checkpoint.

    Children are drawn uniformly. They were found without labels and are not CUB's species.
    """

    def __init__(self, path: Path, task: Task, device: str):
        self.task, self.device = task, torch.device(device)
        self.network = read_finegan(path).to(self.device)
        self.config: Mapping[str, Any] = {
            "generator": "finegan",
            "weights": digest_file(path),
            "device": self.device.type,
        }

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`."""
        return in_blocks(start, count, BLOCK, lambda numbers: self._block(seed, numbers))

    @torch.inference_mode()
    def _block(self, seed: int, numbers: range) -> LabelledImages:
        sizes = self.network.sizes
        noise = normals((sizes.noise,), seed, "finegan", numbers).to(self.device)
        child = integers(sizes.children, seed, "finegan-child", numbers).to(self.device)
        images = self.network(noise, child)
        fitted = to_images(images, self.task.channels, self.task.image_size)
        return unlabelled(fitted, len(self.task.labels))


@GENERATORS.register("finegan")
def open_finegan(argument: str, setting: Setting) -> Generator:
    """`finegan:FILE`."""
    path = required_file(argument, f"finegan:{argument}", HOW)
    return FineGan(path, setting.task, setting.device)
