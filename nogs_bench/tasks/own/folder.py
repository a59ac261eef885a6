"""A folder of images, one subfolder for each class, as the place of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.images import ImageFolder, Label, Listing, list_images, read_picture, size_of
from nogs_bench.tasks.own.facts import (
    DECODED,
    LOOKED_AT,
    OF_SOURCE,
    Facts,
    arguments,
    is_grey,
    middle_side,
    some,
)


@dataclass(frozen=True)
class FolderPlace:
    """The images `ROOT/CLASS/FILE`; a `Place`."""

    root: Path

    @cached_property
    def listing(self) -> Listing:
        return list_images(self.root)

    def facts(self) -> Facts:
        files, classes = self.listing.files, self.listing.classes
        counts = Counter(file.label for file in files)
        seen = [files[number].path for number in some(len(files), LOOKED_AT)]
        shown = [files[number].path for number in some(len(files), DECODED)]
        return Facts(
            name=self.root.resolve().name,
            labels=(Label("class", classes),),
            counts=tuple(counts[name] for name in classes),
            given=Counter(file.split for file in files if file.split),
            side=middle_side([size_of(path) for path in seen]),
            grey=all(is_grey(_pixels(path)) for path in shown),
        )

    def source(self, settings: Mapping[str, Any]) -> ImageFolder:
        return ImageFolder(str(self.root.resolve()), **{name: settings[name] for name in OF_SOURCE})

    def code(self, settings: Mapping[str, Any], why: Mapping[str, str]) -> str:
        return f"ImageFolder(\n    {str(self.root.resolve())!r},\n{arguments(settings, why)})"


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(read_picture(path, 3)).transpose(2, 0, 1)
