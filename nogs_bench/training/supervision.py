"""Where a method's supervising glimpse sequences come from, and how strongly they supervise.

All are sequences of the same images: those that have near-optimal ones (appendix B.5).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.methods import Method
from nogs_bench.network import joint
from nogs_bench.registry import Registry
from nogs_bench.sequences import Annotations, load_annotations
from nogs_bench.tasks import Task, hand_crafted_glimpses
from nogs_bench.training.heuristic import first_step_map, heuristic_glimpses


def supervising(
    task: Task, where: str | Path | None, supervised: int | None, train: LabelledImages
) -> Annotations:
    """The sequences of `where` that supervise: `supervised` of them, or as the task says.

    Those of the lowest image numbers. Raises `NogsError` if there are not as many as asked for, or
    they are of other images than `train`.
    """
    annotations = load_annotations(task, where)
    if supervised is not None and not 1 <= supervised <= len(annotations):
        raise NogsError(
            f"{supervised} sequences cannot supervise: {annotations.name} has 1..{len(annotations)}"
        )
    annotations.check_images(train, task)
    return annotations.first(supervised or task.training.supervised)


@dataclass(frozen=True)
class Material:
    """What sequences can be made of.

    - `near_optimal`: the sequences of the images that supervise.
    - `images`: the train split.
    - `maps`: dataset folder or Hub id with the EPE maps; None the shipped ones.
    - `data`: the folder of images that the user named, if any.
    - `keypoints`: the user's file, for `nogs_bench.tasks.handcrafted.read_keypoints`.
    """

    task: Task
    near_optimal: Annotations
    images: LabelledImages
    maps: str | Path | None = None
    data: Path | None = None
    keypoints: Path | None = None

    def instead(self, glimpses: np.ndarray, name: str) -> Annotations:
        """`near_optimal`'s images with other glimpses, int64 (n, T, 2), of unknown EPE."""
        unknown = np.full(glimpses.shape[:2], -1, np.float32)
        return replace(
            self.near_optimal,
            name=f"{self.near_optimal.name} ({name})",
            glimpses=glimpses,
            epe=unknown,
        )


# (material, what follows the name's colon) -> the sequences
Sequences = Callable[[Material, str], Annotations]
SEQUENCES: Registry[Sequences] = Registry("sequences", group="nogs_bench.sequences")


def make_sequences(spec: str, material: Material) -> Annotations:
    """The sequences that `spec` names: `NAME` or `NAME:ARGUMENT` of an entry of `SEQUENCES`.

    They are a function of `material` alone: every run of a method is supervised by the same.
    """
    name, _, argument = spec.partition(":")
    return SEQUENCES[name](material, argument)


@SEQUENCES.register("near-optimal")
def near_optimal(material: Material, argument: str) -> Annotations:
    """Those of the dataset, as they are."""
    return material.near_optimal


@SEQUENCES.register("heuristic")
def heuristic(material: Material, argument: str) -> Annotations:
    """`heuristic:G`: T independent draws from equation 17, inverse temperature G (B.3)."""
    try:
        inverse_temperature = float(argument)
    except ValueError as error:
        raise NogsError(
            f"sequences heuristic:{argument}: write the inverse temperature, as heuristic:1"
        ) from error
    task = material.task
    epe = first_step_map(task, material.maps)
    cells = heuristic_glimpses(epe, inverse_temperature, material.near_optimal.index, task.T)
    return material.instead(task.grid.index_to_pixel(cells), f"heuristic {argument}")


@SEQUENCES.register("hand-crafted")
def hand_crafted(material: Material, argument: str) -> Annotations:
    """Keypoints of the task, or the user's (section 6)."""
    glimpses = hand_crafted_glimpses(
        material.task,
        material.images,
        material.near_optimal.index,
        material.data,
        material.keypoints,
    )
    return material.instead(glimpses, "hand-crafted")


def sequence_table(task: Task, images: int, annotations: Annotations | None) -> Tensor:
    """int64 (images, T): the location indices of each image's sequence, -1 where it has none."""
    table = torch.full((images, task.T), -1, dtype=torch.int64)
    if annotations is not None:
        cells = task.grid.pixel_to_index(annotations.glimpses)
        table[torch.from_numpy(annotations.index)] = torch.from_numpy(cells)
    return table


def strengths(methods: SequenceOf[Method], length: int, network: Any) -> Tensor:
    """float (length, [R, 1, 1]): how strongly each run is supervised at each iteration.

    `methods`: of each run; `network`: what they train, a stack of R or one.
    """
    factors = [[float(method.schedule(i, length)) for i in range(length)] for method in methods]
    found = joint([torch.tensor(each) for each in factors], network)
    return found if found.dim() == 1 else found.T[..., None, None].contiguous()
