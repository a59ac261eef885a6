"""One run, trained alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nogs_bench.network import ImageTensors
from nogs_bench.results import Point
from nogs_bench.sequences import Annotations
from nogs_bench.training import NOTHING, Lessons, Report, Run, Trainee, train_together


def train(
    run: Run,
    model: Any,
    images: ImageTensors,
    validation: ImageTensors,
    annotations: Annotations | None = None,
    checkpoint: Path | None = None,
    report: Report = lambda done, note: None,
    lessons: Lessons = NOTHING,
) -> tuple[tuple[Point, ...], float]:
    """Train `model`, in place, on the device that `images` are on.

    Returns the validation curve (iteration 0 included, then every `evaluation_period` and the
    last) and the seconds it took, earlier parts included if `checkpoint` holds any. Raises
    `NogsError` if the loss stops being finite or the checkpoint is not this run's.
    """
    trainee = Trainee(run, model, images, validation, annotations, lessons=lessons)
    curves, seconds = train_together([trainee], checkpoint, report, stacked=False)
    return curves[0], seconds
