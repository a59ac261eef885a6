"""What goes to the Hub of a dataset folder, made and checked before anything is sent."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.card import dataset_card
from nogs_bench.builders.dataset.card_check import check_card
from nogs_bench.builders.dataset.card_fields import UNKNOWN
from nogs_bench.builders.dataset.folder import CARD, describe_configs
from nogs_bench.builders.dataset.parquet import (
    FOLDERS,
    config_features,
    has_column,
    posterior_files,
)
from nogs_bench.errors import NogsError
from nogs_bench.figures import draw_locations
from nogs_bench.files import PROVENANCE, digest_json, is_owned, read_provenance
from nogs_bench.images import EVERY_SPLIT
from nogs_bench.sequences import built_task, recorded_grid, require_file
from nogs_bench.tasks import Task

EVALUATION = "eval.yaml"
FIGURE = "locations.png"


@dataclass(frozen=True)
class Publication:
    """A dataset as it is sent.

    - `repo`: `OWNER/NAME` on the Hub.
    - `files`: path in the repository to the file, or to its content.
    - `licence`: of the sequences; "unknown" where their origin names none.
    - `tag`: names the task's version and the rows: `vVERSION-DIGEST`.
    """

    repo: str
    folder: Path
    files: Mapping[str, Path | bytes]
    licence: str
    tag: str

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {
            name: len(file) if isinstance(file, bytes) else file.stat().st_size
            for name, file in self.files.items()
        }

    @property
    def fields(self) -> dict[str, Any]:
        """The card's YAML."""
        from huggingface_hub import DatasetCard

        card = self.files[CARD]
        assert isinstance(card, bytes)
        return DatasetCard(card.decode()).data.to_dict()


def make_publication(
    folder: str | Path,
    repo: str,
    task: str | Task | None = None,
    with_images: bool = False,
) -> Publication:
    """What `publish` would send of a dataset folder.

    The parquet files go as they are, without images unless asked for; card, provenance, figure
    and `eval.yaml` are made for what goes.

    **Arguments**

    - `task`: what the dataset is about; default: the registered task that the folder names.
    - `with_images`: send the config `default` too.

    Raises `NogsError` if the folder is not whole or was changed since it was made, or if images
    are asked for that it does not hold or that may not be redistributed.
    """
    folder = Path(folder)
    if not is_owned(repo):
        raise NogsError(f"--repo {repo}: a name on the Hub is OWNER/NAME")
    record = read_provenance(folder, whole=True)
    task = _task(folder, record, task)
    names = _file_names(folder, record)
    types = config_features(task, has_column(record))
    _require_fitting(folder, task, {each: names[each]["train"] for each in names}, types)
    if with_images:
        _require_images(folder, task, names)
    else:
        names = {config: splits for config, splits in names.items() if config != "default"}
    sent = [name for splits in names.values() for name in splits.values()]
    record = record | {
        "files": {name: record["files"][name] for name in sorted(sent)},
        "licence": record.get("licence", record["made_by"].get("licence", task.licence)),
        "publishable": True,
    }
    configs = describe_configs({config: types[config] for config in names}, names, record["digest"])
    glimpses, epe = _annotated(folder)
    card = dataset_card(task, record, configs, epe, repo, FIGURE).encode()
    check_card(card.decode(), task, record)
    files: dict[str, Path | bytes] = {name: folder / name for name in sent}
    for name, digest in posterior_files(record).items():
        require_file(folder / name, digest)
        files[name] = folder / name
    files |= {
        PROVENANCE: (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(),
        EVALUATION: evaluation(task).encode(),
        FIGURE: _figure(folder, glimpses),
        CARD: card,
    }
    tag = f"v{record['task_version']}-{digest_json(record['files'] | posterior_files(record))[:8]}"
    return Publication(repo, folder, files, record["licence"], tag)


def evaluation(task: Task) -> str:
    """The text of `eval.yaml`, by which the Hub knows a benchmark: a task for each protocol."""
    import yaml

    tasks = [
        {"id": protocol.name, "config": "annotations", "split": "test"}
        for protocol in task.protocols
    ]
    content = {
        "name": f"nogs-bench {task.name}",
        "description": f"Hard visual attention. {task.description}.",
        "evaluation_framework": "nogs-bench",
        "tasks": tasks,
    }
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _task(folder: Path, record: Mapping[str, Any], task: str | Task | None) -> Task:
    """The task that the folder says it is about. Never has a file run that a dataset names."""
    name = str(record.get("task"))
    known = built_task(task, folder)
    if known.name != name:
        raise NogsError(f"{folder} is about the task {name}, not {known.name}")
    return known


def _file_names(folder: Path, record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each config the name of each split's file, all of them as they were written."""
    if not (folder / CARD).is_file():
        raise NogsError(f"{folder} holds no whole dataset (no {CARD}); build it again")
    names: dict[str, dict[str, str]] = {}
    for config, part in FOLDERS.items():
        for split in EVERY_SPLIT:
            name = f"{part}/{split}.parquet"
            if name not in record["files"]:
                continue
            path = folder / name
            require_file(path, record["files"][name])
            names.setdefault(config, {})[split] = name
    if "train" not in names.get("annotations", {}):
        raise NogsError(f"{folder} holds no whole dataset (no sequences); build it again")
    return names


def _require_fitting(
    folder: Path, task: Task, files: Mapping[str, str], types: Mapping[str, Any]
) -> None:
    """Whether the rows are what the card will say: on the task's grid, with its T and classes."""
    from datasets import Features
    from pyarrow import parquet

    found = {
        config: Features.from_arrow_schema(parquet.read_schema(folder / file))
        for config, file in files.items()
    }
    other = [folder / files[each] for each in found if found[each] != types[each]]
    if recorded_grid(folder) != task.grid or other:
        where = f"; {other[0]} has other columns" if other else ""
        raise NogsError(
            f"{folder} was not built of {task.name} as that is now (grid, glimpses, classes){where}"
            "; give the task as it was then, or build again"
        )


def _require_images(folder: Path, task: Task, names: Mapping[str, Any]) -> None:
    if not task.images_may_ship:
        raise NogsError(
            f"--with-images: the images of {task.name} may not be redistributed "
            f"({task.images_licence}); leave them out"
        )
    if "default" not in names:
        raise NogsError(f"--with-images: {folder} holds no images; build it with images")


def _annotated(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """int (n, T, 2) and float (n, T) or None: the annotated rows' glimpses and EPE."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "annotations/train.parquet")
    rows = np.flatnonzero(table["annotated"].to_numpy())
    if not len(rows):
        raise NogsError(f"{folder} holds no sequence: there is nothing to publish")
    glimpses = np.array([table["glimpses"][int(row)].as_py() for row in rows])
    epe = np.array([table["epe"][int(row)].as_py() for row in rows], np.float32)
    return glimpses, epe if (epe >= 0).all() else None


def _figure(folder: Path, glimpses: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        return draw_locations(glimpses, recorded_grid(folder), Path(temporary, FIGURE)).read_bytes()


def is_licensed(publication: Publication) -> bool:
    """Whether the sequences' licence is known."""
    return publication.licence.lower() != UNKNOWN
