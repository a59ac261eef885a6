"""A dataset that `datasets` loads as a task's source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images.cache import Decoded, Item, decoded
from nogs_bench.images.decoder import WHITE, Colour, read_picture, squared
from nogs_bench.images.dividing import account, check_division, divide
from nogs_bench.images.hub.dataset import OpenedDataset, open_dataset
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.images.labels import Label, Splits
from nogs_bench.images.listing import say
from nogs_bench.images.near import near_copies


@dataclass(frozen=True)
class HubImages:
    """A dataset of labelled images, of the Hub or of this machine; an `ImageSource`.

    It may be anything that `datasets` reads: parquet, webdataset, folders of images. Images are
    cut, resized and kept as those of `ImageFolder`. The dataset's own splits are kept. Those that
    it lacks are drawn from `train`, with the same share of each class of the first label. Images
    without a label are passed over, and a line on standard error says so.

    **Arguments**

    - `name`: `OWNER/NAME`, or a folder or file.
    - `image_size`: pixels of a side, after resizing.
    - `channels`: 1 (grey) or 3 (colour).
    - `config`: of the Hub's dataset.
    - `revision`: a commit, tag or branch of the Hub's dataset.
    - `image`: the column of images. None: the first.
    - `label`: the columns of labels; the task is about the first of them. Empty: all classes and
      booleans; if there are none, texts and integers whose values come repeatedly.
    - `validation`, `test`, `avp_validation`, `seed`, `background`: as of `ImageFolder`.

    Raises `NogsError` if the dataset cannot be loaded, has no such columns, or an image is bad.
    """

    name: str
    image_size: int
    channels: int = 3
    config: str | None = None
    revision: str | None = None
    image: str | None = None
    label: tuple[str, ...] = ()
    validation: float = 0.1
    test: float = 0.2
    avp_validation: float = 0.1
    seed: int = 0
    background: Colour = WHITE
    labels: tuple[Label, ...] = field(init=False, compare=False, repr=False)
    splits: Splits = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        columns = (self.label,) if isinstance(self.label, str) else tuple(self.label)
        object.__setattr__(self, "label", columns)
        check_division(self)
        opened, numbers, _ = self._read()
        sizes = {split: len(rows) for split, rows in numbers.items()}
        object.__setattr__(self, "labels", opened.labels)
        object.__setattr__(self, "splits", Splits(**sizes))

    @property
    def summary(self) -> str:
        opened = self._opened()
        at = f" at commit {opened.revision}" if opened.revision else ""
        return f"the dataset {Path(self.name).name if Path(self.name).exists() else self.name}{at}"

    @property
    def shares(self) -> dict[str, float]:
        """Of each split but `train`, where the dataset has none."""
        return {name: getattr(self, name) for name in ("validation", "test", "avp_validation")}

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        """The images of `split`, decoded once. Raises `NogsError` if `data` is given."""
        if data is not None:
            raise NogsError(f"--data {data}: the images are those of {self.name}; leave it out")
        opened, numbers, pixels = self._read()
        labels = np.concatenate([opened.numbers[own] for own in opened.splits])
        chosen = np.asarray(numbers[split], np.int64)
        return LabelledImages(pixels.part(numbers[split]), labels[chosen])

    def _opened(self) -> OpenedDataset:
        return open_dataset(self.name, self.config, self.revision, self.image, self.label)

    def _read(self) -> tuple[OpenedDataset, Mapping[str, list[int]], Decoded]:
        """The dataset, of each split its images' numbers (the splits' rows in turn), and pixels."""
        opened = self._opened()
        places = [(split, int(row)) for split, rows in opened.rows.items() for row in rows]
        states = {split: _state(opened, split) for split in opened.splits}
        items = [
            Item(f"{split}/{row}", states[split], partial(self._one, opened, split, row))
            for split, row in places
        ]
        place = f"dataset {opened.name}, {self.config}, {opened.image}, {self.background}"
        found = decoded(items, (self.channels, self.image_size, self.image_size), place)
        first = np.concatenate([opened.numbers[split][:, 0] for split in opened.splits])
        names = [opened.labels[0].classes[number] for number in first]
        divided = len(opened.splits) > 1
        given = [split if divided else None for split, _ in places]
        splits = divide(names, found.digests, given, self.shares, self.seed, opened.name)
        for line in [
            *account(names, found.digests, splits, opened.name),
            *near_copies(found, [item.name for item in items], splits, opened.name),
        ]:
            say(line)
        return opened, splits, found

    def _one(self, opened: OpenedDataset, split: str, row: int) -> np.ndarray:
        where = f"{opened.name}, {split}, row {row}"
        picture = read_picture(
            opened.picture(split, row), self.channels, where, background=self.background
        )
        return squared(picture, self.image_size)


def _state(opened: OpenedDataset, split: str) -> tuple[str, ...]:
    """What changes when the pixels of a split do."""
    return (opened.revision or opened.splits[split].state,)
