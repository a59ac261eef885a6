"""A dataset that `datasets` loads, of the Hub or on this machine: opened, not decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import hub_errors, is_offline, require_hub
from nogs_bench.images.hub.columns import MISSING, image_column, label_columns
from nogs_bench.images.labels import Label
from nogs_bench.images.listing import SPLIT_NAMES, say

CITATION = re.compile(r"```(?:bibtex|latex|tex)?\s*\n(@.*?)```", re.S)
# Of the Hub's licence names, those that let images be passed on.
OPEN_LICENCES = (
    *("cc0-1.0", "pddl", "mit", "apache-2.0", "bsd", "bsd-3-clause", "unlicense", "odc-by"),
    *("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
)


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset's rows with images, and what is known of it.

    - `name`: as `datasets` knows it, or an absolute path.
    - `revision`: commit, of a dataset of the Hub; empty otherwise, or where unknown.
    - `splits`: `datasets.Dataset` by split, in this package's names of splits.
    - `rows`: of each split, int64, the rows that have all labels.
    - `labels`, `numbers`: what they are labelled with; of each split int64 (len(rows), labels).
    - `licence`, `citation`: as the card says; empty if it does not.
    """

    name: str
    revision: str
    splits: Mapping[str, Any]
    image: str
    rows: Mapping[str, np.ndarray]
    labels: tuple[Label, ...]
    numbers: Mapping[str, np.ndarray]
    licence: str
    citation: str

    def picture(self, split: str, row: int) -> bytes | Path:
        """What an image's file holds, or where it is."""
        held = self.splits[split][row][self.image]
        content, path = (held, None) if isinstance(held, bytes) else (held["bytes"], held["path"])
        if content is None and path is None:
            raise NogsError(f"{self.name}, {split}: row {row} has no image; remove it")
        return content if content is not None else Path(str(path))


@cache
def open_dataset(
    name: str,
    config: str | None = None,
    revision: str | None = None,
    image: str | None = None,
    label: tuple[str, ...] = (),
) -> OpenedDataset:
    """Open a dataset by `datasets.load_dataset`; a process opens each once.

    **Arguments**

    - `name`: `OWNER/NAME` on the Hub, or a folder or file on this machine.
    - `config`, `revision`: of the Hub's, where it has several; a commit, tag or branch.
    - `image`, `label`: columns; default: found by type.

    Raises `NogsError` if it cannot be had, and if it has no such columns.
    """
    local = _local(name)
    where = str(local or name)
    commit = "" if local else _commit(name, revision)
    loaded = _load(where, local, config, commit or revision)
    splits = _splits(loaded, where)
    features = next(iter(splits.values())).features
    shown = image_column(features, image, where)
    columns = label_columns(
        {column: kind for column, kind in features.items() if column != shown},
        lambda column: [v for rows in splits.values() for v in _values(rows, column)],
        label,
        where,
    )
    kept, numbers = {}, {}
    for split, rows in splits.items():
        each = [made.number(_values(rows, column)) for column, made in columns.items()]
        table = np.stack(each, axis=1) if len(rows) else np.zeros((0, len(columns)), np.int64)
        kept[split] = np.flatnonzero((table != MISSING).all(1))
        numbers[split] = table[kept[split]]
        lost = len(rows) - len(kept[split])
        if lost:
            say(f"{where}, {split}: passed over {lost:,} of {len(rows):,} images without a label")
    full = [split for split in splits if len(kept[split])]
    if not full:
        raise NogsError(f"{where} has no image with all of the labels {', '.join(columns)}")
    licence, citation = _card(name, local, commit)
    return OpenedDataset(
        name=where,
        revision=commit,
        splits={split: _undecoded(splits[split], shown) for split in full},
        image=shown,
        rows={split: kept[split] for split in full},
        labels=tuple(made.label for made in columns.values()),
        numbers={split: numbers[split] for split in full},
        licence=licence,
        citation=citation,
    )


def _local(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.exists():
        return path.resolve()
    if name.startswith((".", "/", "~")):
        raise NogsError(f"no such dataset {name}; give a folder or file that datasets loads")
    return None


def _commit(name: str, revision: str | None) -> str:
    """The commit that a revision of a dataset of the Hub is now, or was when it was downloaded."""
    from huggingface_hub import HfApi, constants

    if is_offline():
        folder = f"datasets--{name.replace('/', '--')}"
        noted = Path(constants.HF_HUB_CACHE, folder, "refs", revision or "main")
        return noted.read_text().strip() if noted.is_file() else ""
    require_hub(f"no dataset {name}")
    with hub_errors(f"dataset {name} cannot be had"):
        return HfApi().dataset_info(name, revision=revision).sha or ""


def _load(where: str, local: Path | None, config: str | None, revision: str | None) -> Any:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    doing = f"dataset {where} cannot be loaded"
    try:
        with hub_errors(doing):
            if local is not None and local.is_file():
                kind = local.suffix.lstrip(".").replace("jsonl", "json")
                return load_dataset(kind, data_files=str(local))
            if local is not None:
                return load_dataset(str(local), config)
            return load_dataset(where, config, revision=revision)
    except NogsError:
        raise
    except Exception as error:  # what readers of so many formats raise may be anything
        text = " ".join(str(error.__cause__ or error).split())
        raise NogsError(f"{doing}: {text[:300]}") from error


def _splits(loaded: Any, where: str) -> dict[str, Any]:
    """The dataset's splits by this package's names. What is no split of ours is said."""
    found: dict[str, Any] = {}
    for name, rows in loaded.items():
        split = SPLIT_NAMES.get(str(name).lower())
        if split is None or split in found:
            say(f"{where}: passed over the split {name} ({len(rows):,} images)")
        else:
            found[split] = rows.flatten() if _nested(rows.features) else rows
    if not found:
        raise NogsError(
            f"{where} has the splits {', '.join(map(str, loaded))}; a task needs one called train"
        )
    return found


def _nested(features: Mapping[str, Any]) -> bool:
    return any(isinstance(kind, Mapping) and "bytes" not in kind for kind in features.values())


def _values(rows: Any, column: str) -> Sequence[Any]:
    """All values of a column, without its images."""
    return list(rows.select_columns([column])[:][column])


def _undecoded(rows: Any, column: str) -> Any:
    from datasets import Image

    return rows.select_columns([column]).cast_column(column, Image(decode=False))


def _card(name: str, local: Path | None, commit: str) -> tuple[str, str]:
    """Licence and citation, as the dataset's card says."""
    from huggingface_hub import DatasetCard, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        file = (
            Path(local, "README.md")
            if local is not None
            else Path(
                hf_hub_download(name, "README.md", repo_type="dataset", revision=commit or None)
            )
        )
        text = file.read_text(encoding="utf-8")
        data: Any = DatasetCard(text, ignore_metadata_errors=True).data
        licence = data.get("license")
    except (EntryNotFoundError, LocalEntryNotFoundError, OSError, ValueError):
        return "", ""
    cited = CITATION.search(text)
    named = licence[0] if isinstance(licence, list) and licence else licence
    return str(named or ""), " ".join(cited[1].split()) if cited else ""
