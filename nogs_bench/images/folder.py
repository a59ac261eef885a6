"""A folder of labelled images as a task's source: one subfolder for each class."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images.cache import Decoded, Item, decoded, file_state
from nogs_bench.images.decoder import WHITE, Colour, read_picture, squared
from nogs_bench.images.dividing import account, check_division, divide
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.images.labels import Label, Splits
from nogs_bench.images.listing import list_images, say
from nogs_bench.images.near import near_copies


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images, `ROOT/CLASS/FILE`, as the source of a task's images; an `ImageSource`.

    Images may have any size and format that Pillow reads, and may lie in folders below CLASS. Each
    is cut to its middle square and resized by Lanczos (`images.decoder.read_picture` decodes it).
    The pixels are kept in the user's cache (`NOGS_BENCH_CACHE` names another folder), and made
    again when a file changes. A broken file is found when the object is made.

    **Splits.** Each class gives the same share of its images to each split, drawn by the seed. The
    same files always give the same splits; a file that is added or removed changes them. Images
    with equal pixels go into one split. A folder that is divided already (`train/CLASS/`, and
    `val`, `validation` or `test`) keeps its splits. Those that it lacks are drawn from `train`.
    Lines on standard error say which files were passed over, and count copies and near copies.

    **Arguments**

    - `root`: the folder. If `load` is given `data` (`--data DIR`), that folder is read instead. It
      must have the same classes.
    - `image_size`: pixels of a side, after resizing.
    - `channels`: 1 (grey) or 3 (colour).
    - `validation`, `test`, `avp_validation`: the splits' shares of all images, 0 .. 1. The other
      images train.
    - `seed`: of the division.
    - `background`: (red, green, blue) from 0 to 255, shown where an image is transparent.

    Raises `NogsError` if the folder or a class is missing or empty, an image cannot be read, a
    class has too few images for its splits, or an argument is out of its range.
    """

    root: str | Path
    image_size: int
    channels: int = 3
    validation: float = 0.1
    test: float = 0.2
    avp_validation: float = 0.1
    seed: int = 0
    background: Colour = WHITE
    label: Label = field(init=False, compare=False, repr=False)
    splits: Splits = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_division(self)
        read = self._read(Path(self.root))
        sizes = {name: len(numbers) for name, numbers in read.splits.items()}
        object.__setattr__(self, "label", Label("class", read.classes))
        object.__setattr__(self, "splits", Splits(**sizes))

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes, as the one label of a task."""
        return (self.label,)

    @property
    def summary(self) -> str:
        return f"the images in {Path(self.root).name}/CLASS/, cut to squares of {self.image_size}"

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        """The images of `split`, decoded once; `NogsError` names the first file that is bad."""
        root = Path(self.root) if data is None else data
        read, classes = self._read(root), self.label.classes
        if read.classes != classes:
            raise NogsError(f"{root} has the classes {read.classes}, the task {classes}")
        numbers = read.splits[split]
        labels = [[classes.index(read.labels[number])] for number in numbers]
        return LabelledImages(read.decoded.part(numbers), np.array(labels, np.int64))

    @property
    def shares(self) -> dict[str, float]:
        """Of each split but `train`, where the folder has none."""
        names = ("validation", "test", "avp_validation")
        return {name: getattr(self, name) for name in names}

    def _read(self, root: Path) -> _Read:
        listing = list_images(root)
        items = [
            Item(
                str(file.path.relative_to(root)),
                file_state(file.path),
                partial(self._one, file.path),
            )
            for file in listing.files
        ]
        place = f"{root.resolve()}, background {self.background}"
        found = decoded(items, (self.channels, self.image_size, self.image_size), place)
        labels = [file.label for file in listing.files]
        given = [file.split for file in listing.files]
        splits = divide(labels, found.digests, given, self.shares, self.seed, str(root))
        passed_over = listing.account()
        for line in [
            *([passed_over] if passed_over else []),
            *account(labels, found.digests, splits, str(root)),
            *near_copies(found, [item.name for item in items], splits, str(root)),
        ]:
            say(line)
        return _Read(listing.classes, labels, splits, found)

    def _one(self, path: Path) -> np.ndarray:
        picture = read_picture(path, self.channels, background=self.background)
        return squared(picture, self.image_size)


@dataclass(frozen=True)
class _Read:
    """What a folder holds: classes, each image's label, numbers of each split, and pixels."""

    classes: tuple[str, ...]
    labels: list[str]
    splits: dict[str, list[int]]
    decoded: Decoded
