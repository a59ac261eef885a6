"""The task of a dataset: images of one's own as the build of the sequences had them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import PROVENANCE, read_provenance
from nogs_bench.tasks import Task, get_task, is_source, recorded_task, source_specs, with_choices


def built_task(task: str | Task | None, folder: Path) -> Task:
    """The task of the dataset in `folder`; None: the registered one that it names.

    Of images, with the numbers that were set by hand when the dataset was built of them. Raises
    `NogsError` if there is no such task.
    """
    if task is None:
        return recorded_task(read_provenance(folder).get("task"), folder)
    return get_task(as_built(task, folder, {}))


def as_built(task: Any, sequences: str | Path | None, choices: dict[str, Any]) -> Any:
    """What `get_task` takes for `task` with `choices`, one of a family.

    Where it is images, and `sequences` a folder that was built of them with other numbers set by
    hand, these are what is not given here, and the label is that of the sequences.

    Raises `NogsError` if `choices` are given for what is no images, or stand for several labels.
    """
    if not is_source(task):
        return with_choices(task, choices)
    given = {name: value for name, value in choices.items() if value is not None}
    folder = None if sequences is None else Path(sequences)
    if folder is None or not (folder / PROVENANCE).is_file():
        return _one(task, given)
    record = read_provenance(folder)
    settings = dict(record.get("chosen", {})) | given
    try:
        first = _one(task, settings)
        name = get_task(first).name
    except NogsError as error:
        raise NogsError(
            f"{folder} holds sequences of {record.get('task')}, which {task} cannot become: {error}"
        ) from error
    if name == record.get("task") or "label" in settings:
        return first
    every = source_specs(task, **settings, label="*")
    return next((spec for spec in every if get_task(spec).name == record.get("task")), first)


def _one(images: Any, settings: dict[str, Any]) -> str:
    specs = source_specs(images, **settings)
    if len(specs) > 1:
        raise NogsError(f"{images} has {len(specs)} labels; name one, label='*' is for a build")
    return specs[0]
