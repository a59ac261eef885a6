"""A user's own copy of images that may not be redistributed, in a folder that stays theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nogs_bench.builders.dataset.parquet import Rows
from nogs_bench.errors import NogsError
from nogs_bench.images import RECORD, LabelledImages, read_record
from nogs_bench.tasks import Task, load_split


def prepared_copies(folders: Sequence[Path | str], datasets: Sequence[str]) -> dict[str, Path]:
    """Folders that `prepare` wrote, by their dataset.

    Raises `NogsError` if one is something else, is none of `datasets`, or comes twice.
    """
    copies: dict[str, Path] = {}
    for folder in map(Path, folders):
        dataset = read_record(folder)["dataset"]
        if dataset not in datasets or dataset in copies:
            raise NogsError(
                f"--images {folder}: {RECORD} says {dataset!r}; give one folder of each of "
                f"{', '.join(datasets)}"
            )
        copies[dataset] = folder
    return copies


def with_images(
    task: Task, rows: Mapping[str, Rows], copies: Mapping[str, Path]
) -> Mapping[str, Rows]:
    """Splits of `task` with the images of its family's copy; as they are where there is none.

    Raises `NogsError` if the copy's images are not those that the labels are of.
    """
    copy = copies.get(task.family)
    if copy is None:
        return rows
    joined: dict[str, Rows] = {}
    for split, known in rows.items():
        found = load_split(task, split, copy)
        wanted, have = known.labels[:, task.target], found.labels[:, task.target]
        if len(wanted) != len(have) or (wanted != have).any():
            raise NogsError(
                f"--images {copy}: its {len(have):,} images of {split} are not {task.name}'s "
                f"{len(wanted):,}, by their labels; prepare them again from the original dataset "
                "(CUB: with the same --exclude)"
            )
        joined[split] = LabelledImages(found.images, known.labels)
    return joined
