"""How good a family's posterior is on held-out photographs, and what its sequences are worth.

    python benchmarks/photographs.py FOLDER... --data PREPARED

Each FOLDER is a dataset that `nogs-bench build` wrote, of tasks of one family, from one posterior.
Of images that neither trained nor chose the posterior (validation and test): cross-entropy of the
true labels and accuracy at t = 1 .. T random cells, means over all labels of the family, and the
standard error over images; the same of each dataset's own label. Of each dataset's annotated
images: the true cross-entropy along the built and along random sequences, the standard error of
their paired difference, and what is claimed: by the posterior (its entropy), and when the glimpses
were chosen (the stated EPE). The last line is all that as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench import get_task, load_annotations
from nogs_bench.builders.dataset import load_posterior
from nogs_bench.builders.posterior import Avp, along_each
from nogs_bench.builders.search import standard_error
from nogs_bench.errors import NogsError
from nogs_bench.files import read_provenance
from nogs_bench.tasks import Task, load_split

ROWS = 250
SEED = 7
WEIGHTS = "posterior/weights-0.safetensors"


@dataclass(frozen=True)
class HeldOut:
    """A posterior at t = 1 .. T random cells of images that it has not seen.

    `cross_entropy` (nats) and `right` (0 or 1): float32 (labels, images, T).
    """

    cross_entropy: Tensor
    right: Tensor

    def of(self, labels: slice) -> dict[str, Any]:
        """Means over those labels of the family, the standard error over images."""
        nats = self.cross_entropy[labels].mean(0)
        return {
            "images": len(nats),
            "labels": len(self.cross_entropy[labels]),
            "cross_entropy": nats.mean(0).tolist(),
            "standard_error": standard_error(nats.numpy()).tolist(),
            "accuracy": self.right[labels].mean((0, 1)).tolist(),
        }


def held_out(avp: Avp, task: Task, data: Path) -> HeldOut:
    """At random cells of the validation and test images."""
    parts = [load_split(task, split, data) for split in ("validation", "test")]
    images = np.concatenate([part.images for part in parts])
    labels = torch.from_numpy(np.concatenate([part.labels for part in parts]))
    cells = np.random.default_rng(SEED).integers(task.grid.cells, size=(len(images), task.T))
    nats, right = torch.zeros(2, labels.shape[1], len(images), task.T)
    for start in range(0, len(images), ROWS):
        rows = slice(start, start + ROWS)
        seen = torch.from_numpy(np.ascontiguousarray(images[rows]))
        for t in range(task.T):
            logs = avp.log_posteriors(seen, torch.from_numpy(cells[rows, : t + 1]))
            for label, log in enumerate(logs):
                truth = labels[rows, label]
                nats[label, rows, t] = -log.gather(1, truth[:, None])[:, 0]
                right[label, rows, t] = (log.argmax(1) == truth).float()
    return HeldOut(nats, right)


def along_sequences(avp: Avp, task: Task, folder: Path, data: Path) -> dict[str, Any]:
    """Of a dataset's annotated images, built beside random, for t = 1 .. T."""
    made = load_annotations(task, folder)
    train = load_split(task, "train", data)
    made.check_images(train, task)
    images = train[made.index]
    size = len(made.index), task.T
    random = np.random.default_rng(SEED).integers(task.grid.cells, size=size)
    avp.target = task.target
    built, other = (
        along_each(avp, images.images, images.labels[:, task.target], cells)
        for cells in (task.grid.pixel_to_index(made.glimpses), random)
    )
    difference = built["cross_entropy"] - other["cross_entropy"]

    def mean(values: Tensor) -> list[float]:
        return values.mean(0).tolist()

    return {
        "images": len(made.index),
        "built": mean(built["cross_entropy"]),
        "random": mean(other["cross_entropy"]),
        "difference": mean(difference),
        "standard_error": standard_error(difference.numpy()).tolist(),
        "entropy": mean(built["entropy"]),
        "stated": np.asarray(made.epe).mean(0).tolist(),
        "accuracy": mean(built["accuracy"]),
        "random_accuracy": mean(other["accuracy"]),
    }


def require_one_posterior(records: Mapping[Path, Mapping[str, Any]]) -> None:
    """Raise `NogsError` unless all folders hold the same weights: one network judges them all."""
    (first, weights), *others = [
        (folder, (record.get("posterior") or {}).get("files", {}).get(WEIGHTS))
        for folder, record in records.items()
    ]
    for folder, own in others:
        if own != weights:
            raise NogsError(f"{folder} is of another posterior than {first}; give it by itself")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    records = {folder: read_provenance(folder) for folder in given.folders}
    tasks = {folder: get_task(record["task"]) for folder, record in records.items()}
    require_one_posterior(records)
    (avp, *_) = load_posterior(given.folders[0], "cpu").networks
    task = tasks[given.folders[0]]
    print(f"network {records[given.folders[0]]['posterior']['network']}")
    unseen = held_out(avp, task, given.data)
    outcome: dict[str, Any] = {"held_out": unseen.of(slice(None)), "own": {}, "sequences": {}}
    _print(f"{task.family}, mean of the labels, random cells", outcome["held_out"])
    for folder, own in tasks.items():
        outcome["own"][own.name] = unseen.of(slice(own.target, own.target + 1))
        _print(f"{own.name}, random cells", outcome["own"][own.name])
        outcome["sequences"][own.name] = along_sequences(avp, own, folder, given.data)
        _print(f"{own.name}, sequences", outcome["sequences"][own.name])
    print(json.dumps(outcome))


def _print(title: str, found: dict[str, Any]) -> None:
    print(f"{title}: {found['images']:,} images")
    for name, values in found.items():
        if isinstance(values, list):
            print(f"  {name.replace('_', ' '):<16}" + " ".join(f"{x:7.4f}" for x in values))


if __name__ == "__main__":
    main()
