"""A bank from any `diffusers` pipeline, by its name on the Hub or its folder: `diffusers:NAME`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.generators.generator import (
    GENERATORS,
    Generator,
    Setting,
    at_least_one,
    split_options,
)
from nogs_bench.builders.generators.pixels import in_blocks, to_images, unlabelled
from nogs_bench.device import device_kind
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file, digest_json
from nogs_bench.images import LabelledImages
from nogs_bench.randomness import torch_generator
from nogs_bench.tasks import Task

BLOCK = 8


class PipelineGenerator:
    """Unlabelled images of a pipeline, each drawn with a random stream of its own.

    **Arguments**

    - `pipeline`: called with `generator` (one an image), `output_type="np"` and, as its signature
      has them, `prompt` (one an image) or `batch_size`, and `num_inference_steps`.
    - `steps`: denoising steps (default: the pipeline's own).
    """

    def __init__(
        self,
        pipeline: Any,
        task: Task,
        config: Mapping[str, Any],
        prompt: str | None = None,
        steps: int | None = None,
    ):
        self.pipeline, self.task, self.config = pipeline, task, config
        accepted = inspect.signature(pipeline.__call__).parameters
        if ("prompt" in accepted) != (prompt is not None):
            need = "needs prompt=TEXT" if prompt is None else "takes no prompt"
            raise NogsError(f"the pipeline {type(pipeline).__name__} {need}")
        batch = {"batch_size": BLOCK} if prompt is None else {"prompt": [prompt] * BLOCK}
        self.arguments = batch | ({"num_inference_steps": steps} if steps else {})

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`."""
        return in_blocks(start, count, BLOCK, lambda numbers: self._block(seed, numbers))

    @torch.inference_mode()
    def _block(self, seed: int, numbers: range) -> LabelledImages:
        cpu = torch.device("cpu")
        streams = [torch_generator(cpu, seed, "diffusers", number) for number in numbers]
        images = self.pipeline(generator=streams, output_type="np", **self.arguments).images
        values = torch.from_numpy(np.asarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1
        fitted = to_images(values, self.task.channels, self.task.image_size)
        return unlabelled(fitted, len(self.task.labels))


@GENERATORS.register("diffusers")
def open_pipeline(argument: str, setting: Setting) -> Generator:
    """`diffusers:NAME`, with options `steps=`, `prompt=` and `revision=`.

    Weights must be safetensors: a pipeline's pickled weights are not loaded. A pipeline from the
    Hub should be pinned by `revision`.
    """
    known: dict[str, Callable[[str], Any]] = {
        "steps": at_least_one,
        "prompt": str,
        "revision": str,
    }
    name, options = split_options(argument, known, "diffusers")
    try:
        from diffusers import DiffusionPipeline
    except ImportError as error:
        raise NogsError(
            "--bank diffusers needs the extra: pip install 'nogs-bench[diffusers]'"
        ) from error
    revision = options.pop("revision", None)
    if not name:
        raise NogsError("--bank diffusers: name a pipeline, as diffusers:NAME or diffusers:FOLDER")
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            name, revision=revision, use_safetensors=True
        ).to(setting.device)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise NogsError(f"--bank diffusers:{name} cannot be loaded: {reason}") from error
    pipeline.set_progress_bar_config(disable=True)
    config = {
        "generator": "diffusers",
        "pipeline": _identity(name),
        "revision": revision,
        "device": device_kind(setting.device),
        **options,
    }
    return PipelineGenerator(pipeline, setting.task, config, **options)


def _identity(name: str) -> str:
    """The name of a pipeline on the Hub, or a digest of the files of a local folder."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_json([[str(path.relative_to(folder)), digest_file(path)] for path in files])
