"""A folder of labelled images as a task's source: one subfolder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.images.labels import Label, Splits

MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class ImageFolder:
    """Images `ROOT/CLASS/FILE`, of any size and format that Pillow reads; an `ImageSource`.

    Each is turned as its camera says, cut to its middle square and resized by Lanczos. One seeded
    permutation of all files divides them into splits, so that the same files always give the same
    splits; a file that is added or taken away changes them. Names that begin with a dot are passed
    over.

    **Arguments**

    - `root`: the folder. `data` of `load` (`--data DIR`) takes its place, with the same classes.
    - `image_size`: pixels of a side.
    - `channels`: 1 (grey) or 3 (colour).
    - `validation`, `test`, `avp_validation`: shares of all images; the rest train.
    - `seed`: of the permutation.

    Raises `NogsError` if the folder or a class is missing or empty, or a split would be empty.
    """

    root: str | Path
    image_size: int
    channels: int = 3
    validation: float = 0.1
    test: float = 0.2
    avp_validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.channels not in MODES:
            raise NogsError(f"images of {self.root}: channels must be 1 or 3, not {self.channels}")
        if min(vars(self.splits).values()) < 1:
            raise NogsError(
                f"{self.root} has too few images for four splits: {self.splits}; add images, or "
                "give other shares"
            )

    @property
    def summary(self) -> str:
        return f"the images in {Path(self.root).name}/CLASS/, cut to squares of {self.image_size}"

    @property
    def label(self) -> Label:
        """The class, as a task's label: the subfolders' names in alphabetical order."""
        return Label("class", tuple(folder.name for folder in _classes(Path(self.root))))

    @property
    def splits(self) -> Splits:
        """How many images each split has."""
        sizes = {name: len(files) for name, files in self._divided(Path(self.root)).items()}
        return Splits(**sizes)

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        """The images of `split`, decoded once; `NogsError` names the first file that is bad."""
        root = Path(self.root) if data is None else data
        classes = self.label.classes
        found = tuple(folder.name for folder in _classes(root))
        if found != classes:
            raise NogsError(f"{root} has the classes {found}, the task {classes}")
        files = tuple(self._divided(root)[split])
        pixels = _decode(files, self.channels, self.image_size)
        labels = [[classes.index(file.parent.name)] for file in files]
        return LabelledImages(pixels, np.array(labels, np.int64))

    def _divided(self, root: Path) -> dict[str, list[Path]]:
        files = [file for folder in _classes(root) for file in _files(folder)]
        order = np.random.default_rng(self.seed).permutation(len(files))
        names = ("validation", "test", "avp_validation")
        ends = np.cumsum([int(getattr(self, name) * len(files)) for name in names])
        parts = np.split(order, ends)
        divided = zip((*names, "train"), parts, strict=True)
        return {name: [files[number] for number in part] for name, part in divided}


def _classes(root: Path) -> list[Path]:
    if not root.is_dir():
        raise NogsError(f"no folder of images {root}; it must hold one subfolder for each class")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and _counts(path))
    if len(folders) < 2:
        raise NogsError(f"{root} must hold one subfolder for each class, at least two")
    return folders


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and _counts(path))
    if not files:
        raise NogsError(f"{folder} holds no images; add some, or remove the folder")
    return files


def _counts(path: Path) -> bool:
    return not path.name.startswith(".")


@lru_cache(maxsize=4)
def _decode(files: Sequence[Path], channels: int, size: int) -> np.ndarray:
    """uint8 (files, channels, size, size)."""
    from PIL import Image, ImageOps

    pixels = np.empty((len(files), size, size, channels), np.uint8)
    for row, file in enumerate(files):
        try:
            with Image.open(file) as image:
                upright = ImageOps.exif_transpose(image).convert(MODES[channels])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise NogsError(f"{file} cannot be read as an image ({error}); remove it") from error
        square = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
        pixels[row] = np.asarray(square).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
