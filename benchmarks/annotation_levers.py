"""What each part of the annotation of an offline task saves alone; used by `annotation.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nogs_bench.builders.compare import speeds
from nogs_bench.builders.posterior import Avp
from nogs_bench.builders.search import Annotator, Found

EXHAUSTIVE = 2


def levers(
    annotator: Annotator, images: np.ndarray, first: Sequence[Found], evaluations: float
) -> dict[str, float]:
    """Factors: `search`, posteriors of all cells and distinct completions to the `evaluations` of
    a step; of the time of one posterior, `network`, the masked image through `conv` to through the
    task's network, `windows`, the latter to what a glimpse changes, and `together`, this to what
    the completions of an image do not share."""
    task = annotator.task
    settings = replace(task.annotation, search="exhaustive")
    every = replace(annotator, task=replace(task, annotation=settings))
    made = every.annotate(images[:EXHAUSTIVE], range(EXHAUSTIVE), first)
    apart = replace(task, annotation=replace(task.annotation, together=False))
    avp = annotator.posterior
    assert isinstance(avp, Avp)
    conv = replace(task, avp=replace(task.avp, network="conv"))
    torch.manual_seed(0)
    _, masked = speeds(Avp(conv).eval().freeze(), conv, "cpu")
    windows, whole = speeds(avp, apart, "cpu")
    together, _ = speeds(avp, task, "cpu")
    found = {
        "search": float(made.evaluations.mean()) / (task.T - 1) / evaluations,
        "network": whole / masked,
        "windows": windows / whole,
        "together": together / windows,
    }
    for name, factor in found.items():
        print(f"  {name:15} {factor:8,.1f} x alone", flush=True)
    return found
