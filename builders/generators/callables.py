"""A bank from a user's own function: `FILE.py:NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nogs_bench.builders.generators.generator import GENERATORS, Generator, Setting
from nogs_bench.builders.generators.pixels import fit
from nogs_bench.errors import NogsError, place_of
from nogs_bench.images import LabelledImages
from nogs_bench.own_code import load_object, source_digest
from nogs_bench.tasks import Task

Draw = Callable[[int, int, int], Any]


class CallableGenerator:
    """Images of `draw(seed, start, count)`.

    `draw` returns uint8 images (count, 1 or 3, h, w), or a pair of them and integer labels
    (count, labels) or (count,). An image may depend on the seed and its number alone: each call
    that begins a shard is checked against another range, since a bank that no one can make again
    is worthless.
    """

    def __init__(self, draw: Draw, name: str, task: Task, source: str):
        self.draw, self.name, self.task = draw, name, task
        self.config: Mapping[str, Any] = {"generator": name, "source": source}

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`. Raises `NogsError` if the function breaks its promise."""
        drawn = self._draw(seed, start, count)
        last = self._draw(seed, start + count - 1, 1)
        same = np.array_equal(drawn.images[-1:], last.images)
        if not same or not np.array_equal(drawn.labels[-1:], last.labels):
            raise NogsError(
                f"{self.name}: image {start + count - 1} of seed {seed} differs when it is asked "
                "for alone; an image must depend on the seed and its number only"
            )
        return drawn

    def _draw(self, seed: int, start: int, count: int) -> LabelledImages:
        task = self.task
        try:
            drawn = self.draw(seed, start, count)
        except NogsError:
            raise
        except Exception as error:
            raise NogsError(f"{self.name} failed{place_of(error)}") from error
        if isinstance(drawn, tuple) and len(drawn) != 2:
            raise NogsError(f"{self.name} gave {len(drawn)} values; give images, or also labels")
        given, said = drawn if isinstance(drawn, tuple) else (drawn, None)
        images = self._array(given, "images")
        fits = images.dtype == np.uint8 and images.ndim == 4 and images.shape[1] in (1, 3)
        if not fits or 0 in images.shape[2:]:
            raise NogsError(
                f"{self.name} gave {images.dtype} {images.shape}; images must be uint8 "
                "(count, 1 or 3, height, width)"
            )
        width = len(task.labels)
        labels = np.full((count, width), -1) if said is None else self._array(said, "labels")
        shapes = [(count, width), *([(count,)] if width == 1 else [])]
        if labels.shape not in shapes or len(images) != count or labels.dtype.kind not in "iu":
            raise NogsError(
                f"{self.name} was asked for {count} images and gave {len(images)}, with labels "
                f"{labels.dtype} {labels.shape}; expected integers ({count}, {width})"
            )
        labels = labels.reshape(count, width).astype(np.int64)
        over = [
            j for j, label in enumerate(task.labels) if labels[:, j].max() >= len(label.classes)
        ]
        if over or labels.min() < -1:
            raise NogsError(f"{self.name} gave a label that is not a class of {task.name}")
        fitted = [fit(image, task.channels, task.image_size) for image in images]
        return LabelledImages(np.stack(fitted), labels)

    def _array(self, values: Any, what: str) -> np.ndarray:
        try:
            return np.asarray(values)
        except Exception as error:  # numpy's, of lists of unequal lengths, or the object's own
            raise NogsError(f"{self.name} gave {what} that are no array ({error})") from error


@GENERATORS.register("callable")
def open_callable(argument: str, setting: Setting) -> Generator:
    """`FILE.py:NAME`; the file runs with the user's rights."""
    draw = load_object(argument, "generator")
    if not callable(draw):
        raise NogsError(f"{argument} is a {type(draw).__name__}, not a function")
    file, _, name = argument.rpartition(":")
    return CallableGenerator(draw, name, setting.task, source_digest(file))
