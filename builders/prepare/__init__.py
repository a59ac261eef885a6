"""Images that users fetch themselves, decoded and resized once (`prepare`).

In comes a dataset's public layout, or a folder; out comes one array on disk with labels and a
record. Each dataset registers in `PREPARERS`.
"""

from nogs_bench.builders.prepare import (  # noqa: F401  (they register)
    celeba,
    celeba_10k,
    cub,
    cub_100,
    utkface,
)
from nogs_bench.builders.prepare.celeba_labels import read_attributes
from nogs_bench.builders.prepare.command import prepare
from nogs_bench.builders.prepare.cub_layout import read_exclusions, read_images

__all__ = [
    "prepare",
    "read_attributes",
    "read_exclusions",
    "read_images",
]
