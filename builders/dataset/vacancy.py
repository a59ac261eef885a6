"""Whether a folder may be written: what it holds of others is not replaced without a word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.folder import unfinished_beside
from nogs_bench.errors import NogsError
from nogs_bench.files import PROVENANCE, read_provenance, require_plain
from nogs_bench.sequences import first_other, read_identity
from nogs_bench.tasks import Task, load_split

WORKSPACE, IMPORTED = ".build", "import-released"


def require_vacant(
    task: str, out: Path, replace: bool = False, asked: Mapping[str, Any] | None = None
) -> None:
    """Raise `NogsError` if writing a dataset of `task` to `out` would replace something else.

    A dataset of the same task, built with the settings `asked`, may be replaced, and what an
    earlier call for it left; without `asked`, one that was imported. With `replace`, any may.
    """
    require_plain(out, f"--out {out}", "give another --out")
    if not out.exists():
        return
    if not out.is_dir():
        raise NogsError(f"--out {out} is a file; give another --out")
    if (out / PROVENANCE).is_file():
        other = None if replace else _other(task, read_provenance(out), asked)
        if other:
            raise NogsError(
                f"{out} holds a dataset of {other}; give another --out, or --replace to have it "
                "replaced"
            )
        return
    foreign = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if foreign and not (out / WORKSPACE).is_dir() and not unfinished_beside(out):
        raise NogsError(f"{out} holds {foreign[0]}, which no build wrote; give another --out")


def _other(task: str, record: Mapping[str, Any], asked: Mapping[str, Any] | None) -> str:
    """How a dataset is another one than is to be written; "" if it is not."""
    if record.get("task") != task:
        return f"{record.get('task')} ({record.get('annotated')} images annotated), not of {task}"
    made_by = record.get("made_by") or {}
    if made_by and (made_by.get("stage") == IMPORTED) is not (asked is None):
        return f"{task} that was {'built' if asked is None else 'imported'}"
    before = made_by.get("asked") or {}
    for name, now in (asked or {}).items():
        if before.get(name, now) != now:
            return f"{task} made with {name} = {before[name]}, not {now}"
    return ""


def require_apart(task: Task, out: Path) -> None:
    """Raise `NogsError` if `out` lies in the folder of the images that the task is made of, where
    it would count as images, or is it."""
    source: Any = task.source
    root = getattr(source, "root", None) or getattr(source, "name", None)
    if (
        root is not None
        and Path(root).is_dir()
        and out.resolve().is_relative_to(Path(root).resolve())
    ):
        raise NogsError(f"--out {out} lies in the folder of the images, {root}; give another")


def require_own_images(task: Task, out: Path, data: Path | None, replace: bool = False) -> None:
    """Raise `NogsError` if `out` holds a dataset of the task's name, but of other images.

    Of a dataset that does not record its images, nothing is known. With `replace`, anything may.
    """
    known = None if replace else read_identity(out)
    if not known:
        return
    images = load_split(task, "train", data).images
    other = first_other(known, np.array(sorted(known)), images)
    if other is not None:
        raise NogsError(
            f"{out} holds a dataset of {task.name}, but of other images: image {other} of train "
            "has other pixels; give another --out, or --replace to have it replaced"
        )
