"""`look`: pictures and pages of what a trained network does with some images."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.sequences import load_annotations
from nogs_bench.tasks import load_split
from nogs_bench.trained.cases import LookCase, cases_of
from nogs_bench.trained.files import read_pictures
from nogs_bench.trained.loading import TrainedNetwork
from nogs_bench.trained.looking import look_at
from nogs_bench.trained.page import write_looks
from nogs_bench.trained.picture import draw_look

MANY = 24
ENDINGS = (".png", ".svg", ".gif", ".html")


def look(
    network: TrainedNetwork,
    out: str | Path,
    image: str | Path | None = None,
    *,
    split: str = "test",
    index: int | Sequence[int] | None = None,
    data: str | Path | None = None,
    sequences: str | Path | None = None,
    greedy: bool = False,
    seed: int = 0,
    confident: float | None = None,
) -> Path:
    """Draw what the network sees of an image, or of several; returns `out`.

    **Arguments**

    - `out`: `.png`, `.svg` or `.gif` for one image; `.html` for one or many.
    - `image`: a picture file, or for a page a folder of them. None: images of the task.
    - `split`, `index`: which of the task's images: one number, or several for a page (default: the
      first, or the first 24). `data`: folder of the task's images, where they need one.
    - `sequences`: a dataset of near-optimal sequences, shown beside the network's own where an
      image has one (those of the split "train").
    - `greedy`, `seed`, `confident`: as `look_at`.

    Raises `NogsError` if there is no such image, or `out` has another ending.
    """
    out, task = Path(out), network.task
    if out.suffix not in ENDINGS:
        raise NogsError(f"--out {out}: a look is written as {', '.join(ENDINGS)}")
    if out.suffix == ".gif" and sequences is not None:
        raise NogsError(f"--out {out}: near-optimal sequences are shown in .png, .svg and .html")
    page = out.suffix == ".html"
    optimal: list[np.ndarray | None] | None = None
    if image is not None:
        if index is not None or sequences is not None or data is not None:
            raise NogsError(
                "index, sequences and data are of the task's images; leave the picture out"
            )
        images, names = read_pictures(Path(image), task, MANY if page else 1)
        labels = None
    else:
        rows = load_split(task, split, None if data is None else Path(data))
        numbers = _numbers(index, len(rows), MANY if page else 1, split)
        images, labels = rows.images[numbers], rows.labels[numbers, task.target]
        names = [f"{split} {number}" for number in numbers]
        if sequences is not None:
            if split != "train":
                raise NogsError("sequences are of training images; give --task-split train")
            known = load_annotations(task, sequences)
            known.check_images(rows, task)
            found = dict(zip(known.index.tolist(), known.glimpses, strict=True))
            optimal = [found.get(int(number)) for number in numbers]
    looks = look_at(network, images, greedy=greedy, seed=seed, confident=confident, maps=not page)
    cases = list(cases_of(network, images, looks, names, labels, optimal))
    if not page:
        return draw_look(cases[0], out)
    return write_looks(
        cases, out, f"{task.name}: where {network.config.method} looks", _lead(cases)
    )


def _numbers(index: int | Sequence[int] | None, count: int, most: int, split: str) -> np.ndarray:
    asked: Any = range(min(most, count)) if index is None else index
    try:
        numbers = [operator.index(n) for n in (asked if np.iterable(asked) else [asked])]
    except TypeError:
        raise NogsError(f"index must be a whole number, or several, not {asked!r}") from None
    if not numbers:
        raise NogsError("index is empty; give the number of an image")
    if most == 1 and len(numbers) > 1:
        raise NogsError("several images go on a page: give --out FILE.html")
    for number in numbers:
        if not 0 <= number < count:
            raise NogsError(f"--index {number}: the split {split} has images 0..{count - 1}")
    return np.array(numbers, np.int64)


def _lead(cases: Sequence[LookCase]) -> str:
    known = [case for case in cases if case.right is not None]
    told = f"{sum(bool(case.right) for case in known)} of {len(known)} are told right. "
    return (
        f"{len(cases)} images, each seen through {len(cases[0].glimpses)} glimpses. "
        f"{told if known else ''}Choose one below, and watch."
    )
