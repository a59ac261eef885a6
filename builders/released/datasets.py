"""From the authors' released sequences to 41 dataset folders."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset import (
    IMPORTED,
    Annotations,
    LabelsOnly,
    Rows,
    prepared_copies,
    require_vacant,
    with_images,
    write_dataset,
)
from nogs_bench.builders.prepare import read_attributes, read_exclusions, read_images
from nogs_bench.builders.released.archive import (
    ReleasedSequences,
    count_released,
    read_released,
)
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file
from nogs_bench.images import EVERY_SPLIT
from nogs_bench.progress import progress_bars
from nogs_bench.tasks import Task
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ, SPLITS
from nogs_bench.tasks.families.cub import CUB, split_numbers

ORIGIN = "released by the authors of the paper (github.com/wsgharvey/ps-nogs); no licence named"
LABELS_UNKNOWN = (
    "; the release does not say the birds' species, so `label` is unknown (-1) and only the "
    "annotated images are here"
)


@dataclass(frozen=True)
class _Folder:
    """What one dataset folder holds."""

    task: Task
    rows: Mapping[str, Rows]
    glimpses: np.ndarray
    origin: str
    provenance: Mapping[str, Any]

    def write(self, out: Path) -> Path:
        annotated = Annotations(np.arange(len(self.glimpses)), self.glimpses)
        return write_dataset(
            dataclasses.replace(self.task, licence="unknown"),
            out / self.task.name,
            train=self.rows["train"],
            validation=self.rows["validation"],
            test=self.rows["test"],
            annotations=annotated,
            provenance=self.provenance,
            origin=self.origin,
        )


def import_released(
    archive: Path | str,
    labels: Path | str,
    out: Path | str,
    cub: Path | str | None = None,
    exclude: Path | str | None = None,
    images: Sequence[Path | str] = (),
    tasks: Sequence[str] = (),
    replace: bool = False,
) -> list[Path]:
    """Turn the released sequences into `OUT/celeba-hq-ATTRIBUTE` (40) and `OUT/cub-200`.

    Each has labels for all images in the paper's splits and sequences for the annotated ones (600;
    CUB 1,000), without images unless you give yours; such a folder must not be published, and says
    so. Everything is read and checked before anything is written.

    **Arguments**

    - `archive`: the authors' `optimal-sequences`, a folder or a tar.
    - `labels`: CelebA-HQ's attributes, 30,000 images (`builders.prepare.celeba_labels`).
    - `cub`: the `CUB_200_2011` folder, for the labels and rows that the release lacks; without it
      `cub-200` holds the annotated rows alone, with unknown labels (-1).
    - `exclude`: CUB images to leave out of the test set (`builders.prepare.read_exclusions`).

    - `images`: folders that `prepare` wrote, of CelebA-HQ, CUB or both: theirs are copied into the
      dataset folders (about 3 GB each for CelebA-HQ). CUB's need `cub`.
    - `tasks`: names of the only ones to write; default: all.
    - `replace`: whether a dataset of another task, or one that was built, may be replaced.

    Returns the 41 folders, or those of `tasks`. Raises `NogsError` with file and line for whatever
    does not fit.
    """
    archive, labels = Path(archive), Path(labels)
    if exclude is not None and cub is None:
        raise NogsError("--exclude names images of CUB: give --cub CUB_200_2011 too")
    copies = prepared_copies(images, (CELEBA_HQ[0].family, CUB.family))
    if CUB.family in copies and cub is None:
        raise NogsError("--images of CUB need its list of images: give --cub CUB_200_2011 too")
    unknown = sorted(set(tasks) - {task.name for task in (*CELEBA_HQ, CUB)})
    if unknown:
        raise NogsError(f"--task {unknown[0]}: the release has none of that name")
    with progress_bars() as bars:
        reading = bars.add_task("sequences", total=count_released(), note="")
        attributes = read_attributes(labels)
        sequences = read_released(archive, lambda count: bars.advance(reading, count))
        made_by = {
            "stage": IMPORTED,
            "archive": archive.name,
            "sequences_digest": _digest(sequences),
            "licence": "unknown",
        }
        celeba_made_by = made_by | {"labels": labels.name, "labels_digest": digest_file(labels)}
        folders = [
            *_celeba(sequences, attributes, celeba_made_by),
            _cub_unlabelled(sequences, made_by)
            if cub is None
            else _cub(sequences, Path(cub), exclude, made_by),
        ]
        folders = [folder for folder in folders if not tasks or folder.task.name in tasks]
        folders = [
            dataclasses.replace(folder, rows=with_images(folder.task, folder.rows, copies))
            for folder in folders
        ]
        for folder in folders:
            require_vacant(folder.task.name, Path(out) / folder.task.name, replace)
        writing = bars.add_task("datasets", total=len(folders), note="")
        paths = []
        for folder in folders:
            bars.update(writing, note=folder.task.name)
            paths.append(folder.write(Path(out)))
            bars.advance(writing)
    return paths


def _celeba(
    sequences: ReleasedSequences, attributes: np.ndarray, made_by: Mapping[str, Any]
) -> Iterator[_Folder]:
    """Images in order: 27,000 train, 500 validation, 2,500 test; the first 600 annotated."""
    ends = np.cumsum([SPLITS.train, SPLITS.validation, SPLITS.test])[:-1]
    names = EVERY_SPLIT
    rows = {
        name: LabelsOnly(part) for name, part in zip(names, np.split(attributes, ends), strict=True)
    }
    for task, glimpses in zip(CELEBA_HQ, sequences.celeba, strict=True):
        yield _Folder(task, rows, glimpses, ORIGIN, made_by)


def _cub(
    sequences: ReleasedSequences, folder: Path, exclude: Path | str | None, made_by: dict[str, Any]
) -> _Folder:
    """All of CUB in the order of `tasks.families.cub.split_numbers`; attributes stay unknown."""
    images = read_images(folder)
    excluded = [] if exclude is None else read_exclusions(Path(exclude), images)
    numbers = split_numbers(images.is_training, excluded)
    annotated = numbers["train"][: CUB.annotation.images]
    other = np.flatnonzero(sequences.bird_images != annotated)
    if len(other):
        raise NogsError(
            f"birds/{other[0]}.txt is about image {sequences.bird_images[other[0]]}, but image "
            f"{annotated[other[0]]} of {folder / 'images.txt'} belongs there; is its "
            "train_test_split.txt CUB-200-2011's own?"
        )
    rows = {name: _species_only(images.species[numbers[name]]) for name in numbers}
    provenance = made_by | {"excluded": len(excluded)}
    return _Folder(CUB, rows, sequences.birds, ORIGIN, provenance)


def _cub_unlabelled(sequences: ReleasedSequences, made_by: dict[str, Any]) -> _Folder:
    count = len(sequences.birds)
    rows = {
        name: _species_only(np.full(size, -1))
        for name, size in {"train": count, "validation": 0, "test": 0}.items()
    }
    return _Folder(CUB, rows, sequences.birds, ORIGIN + LABELS_UNKNOWN, made_by)


def _species_only(species: np.ndarray) -> LabelsOnly:
    labels = np.full((len(species), len(CUB.labels)), -1, np.int64)
    labels[:, CUB.target] = species
    return LabelsOnly(labels)


def _digest(sequences: ReleasedSequences) -> str:
    """sha256 of all locations and image numbers, the same for a folder and a tar."""
    state = hashlib.sha256()
    for array in (sequences.celeba, sequences.birds, sequences.bird_images):
        state.update(np.ascontiguousarray(array, dtype="<i8").data)
    return state.hexdigest()
