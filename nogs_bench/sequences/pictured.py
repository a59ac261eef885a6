"""A dataset's training rows with their images, wherever these are, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import read_provenance
from nogs_bench.sequences.built import built_task
from nogs_bench.sequences.finding import dataset_folder
from nogs_bench.sequences.loading import load
from nogs_bench.tasks import TASKS, Task, load_split


def load_pictured(
    name: str | Path, images: str | Path | bool | None = None, task: str | Task | None = None
) -> Any | None:
    """The rows of the split `train`, each with its `image`; None where there are no images.

    **Arguments**

    - `name`, `task`: as `load` has them.
    - `images`: as `load` has it. None: the dataset's own images; if it has none, those of the
      task's source, where these need no folder and are on this machine.

    Raises `NogsError` as `load` does.
    """
    if images:
        return load(name, images=images, task=task, split="train")
    folder = dataset_folder(name, "annotations")
    record = read_provenance(folder)
    if any(str(file).startswith("data/") for file in record.get("files", ())):
        return load(name, "default", split="train")
    if images is False or (task is None and record.get("task") not in TASKS.names()):
        return None
    about = built_task(task, folder)
    try:
        load_split(about, "train", None)
    except NogsError:  # they are not here, which is no fault of the dataset
        return None
    return load(name, images=True, task=task, split="train")
