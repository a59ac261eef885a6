"""A dataset that `datasets` loads, of the Hub or on this machine: opened, not decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import hub_errors, is_offline, require_plain
from nogs_bench.images.cache import file_state
from nogs_bench.images.hub.columns import MISSING, image_column, label_columns
from nogs_bench.images.hub.repository import card_of, commit_of, snapshot
from nogs_bench.images.hub.rows import Rows, rows_of
from nogs_bench.images.labels import Label
from nogs_bench.images.listing import SPLIT_NAMES, say


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset's rows with images, and what is known of it.

    - `name`: as `datasets` knows it, or an absolute path.
    - `revision`: commit, of a dataset of the Hub; empty otherwise, or where unknown.
    - `splits`: all rows by split, in this package's names of splits.
    - `rows`: of each split, int64, the rows that have all labels.
    - `labels`, `numbers`: what they are labelled with; of each split int64 (len(rows), labels).
    - `licence`, `citation`: as the card says; empty if it does not.
    """

    name: str
    revision: str
    splits: Mapping[str, Rows]
    image: str
    rows: Mapping[str, np.ndarray]
    labels: tuple[Label, ...]
    numbers: Mapping[str, np.ndarray]
    licence: str
    citation: str

    def picture(self, split: str, row: int) -> bytes | Path:
        """What an image's file holds, or where it is."""
        held = self.splits[split].picture(self.image, row)
        missing = f"{self.name}, {split}: row {row} has no image; remove it"
        if held is None:
            raise NogsError(missing)
        content, path = (held, None) if isinstance(held, bytes) else (held["bytes"], held["path"])
        if content is None and path is None:
            raise NogsError(missing)
        return content if content is not None else Path(str(path))


def open_dataset(
    name: str,
    config: str | None = None,
    revision: str | None = None,
    image: str | None = None,
    label: tuple[str, ...] = (),
) -> OpenedDataset:
    """Open a dataset that `datasets` loads; a process opens each once, one on this machine again
    when a file of it has changed.

    **Arguments**

    - `name`: `OWNER/NAME` on the Hub, or a folder or file on this machine.
    - `config`, `revision`: of the Hub's, where it has several; a commit, tag or branch.
    - `image`, `label`: columns; default: found by type.

    Raises `NogsError` if it cannot be had, and if it has no such columns.
    """
    local = _local(name)
    return _opened(name, local, config, revision, image, label, _state(local) if local else ())


@cache
def _opened(
    name: str,
    local: Path | None,
    config: str | None,
    revision: str | None,
    image: str | None,
    label: tuple[str, ...],
    state: tuple[object, ...],
) -> OpenedDataset:
    where = str(local or name)
    commit = "" if local else commit_of(name, revision)
    loaded = _load(where, local, config, commit)
    splits = _splits(loaded, where)
    features = next(iter(splits.values())).features
    shown = image_column(features, image, where)
    columns = label_columns(
        {column: kind for column, kind in features.items() if column != shown},
        lambda column: [v for rows in splits.values() for v in rows.values(column)],
        label,
        where,
    )
    kept, numbers = {}, {}
    for split, rows in splits.items():
        each = [made.number(rows.values(column)) for column, made in columns.items()]
        table = np.stack(each, axis=1) if len(rows) else np.zeros((0, len(columns)), np.int64)
        kept[split] = np.flatnonzero((table != MISSING).all(1))
        numbers[split] = table[kept[split]]
        lost = len(rows) - len(kept[split])
        if lost:
            say(f"{where}, {split}: passed over {lost:,} of {len(rows):,} images without a label")
    full = [split for split in splits if len(kept[split])]
    if not full:
        raise NogsError(f"{where} has no image with all of the labels {', '.join(columns)}")
    licence, citation = card_of(name, local, commit)
    return OpenedDataset(
        name=where,
        revision=commit,
        splits={split: splits[split] for split in full},
        image=shown,
        rows={split: kept[split] for split in full},
        labels=tuple(made.label for made in columns.values()),
        numbers={split: numbers[split] for split in full},
        licence=licence,
        citation=citation,
    )


def _state(local: Path) -> tuple[object, ...]:
    """What changes when a file of a dataset on this machine does."""
    files = sorted(local.rglob("*")) if local.is_dir() else [local]
    return tuple((str(path), *file_state(path)) for path in files if path.is_file())


def _local(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.exists():
        require_plain(path.resolve(), name, "rename the folder")
        return path.resolve()
    if name.startswith((".", "/", "~")):
        raise NogsError(f"no such dataset {name}; give a folder or file that datasets loads")
    return None


def _load(where: str, local: Path | None, config: str | None, commit: str) -> dict[str, Rows]:
    from datasets import disable_progress_bars, load_dataset_builder

    disable_progress_bars()
    doing = f"dataset {where} cannot be loaded"
    if local is None and is_offline():
        local = snapshot(where, commit)
    try:
        with hub_errors(doing):
            if local is not None and local.is_file():
                kind = local.suffix.lstrip(".").replace("jsonl", "json")
                builder = load_dataset_builder(kind, data_files=str(local))
            elif local is not None:
                builder = load_dataset_builder(str(local), config)
            else:
                builder = load_dataset_builder(where, config, revision=commit)
            return rows_of(builder)
    except NogsError:
        raise
    except Exception as error:  # what readers of so many formats raise may be anything
        text = " ".join(str(error.__cause__ or error).split())
        raise NogsError(f"{doing}: {text[:300]}") from error


def _splits(loaded: Mapping[str, Rows], where: str) -> dict[str, Rows]:
    """The dataset's splits by this package's names. What is no split of ours is said."""
    found: dict[str, Rows] = {}
    for name, rows in loaded.items():
        split = SPLIT_NAMES.get(str(name).lower())
        if split is None or split in found:
            say(f"{where}: passed over the split {name} ({len(rows):,} images)")
        else:
            found[split] = rows
    if not found or (len(found) > 1 and "train" not in found):
        raise NogsError(
            f"{where} has the splits {', '.join(map(str, loaded))}; a task needs one called train"
        )
    return found
