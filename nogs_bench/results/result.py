"""One training run: what was run, its raw curve, its test metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from nogs_bench.errors import NogsError
from nogs_bench.results.configuration import RunConfig
from nogs_bench.results.fields import Count, Fraction, NonNegative, Positive, Strict, Text

FORMAT_VERSION = 3


class ClassAccuracy(Strict):
    """How many `images` of a class there are, and which part of their rollouts was right."""

    images: Positive
    accuracy: Fraction


class Point(Strict):
    """The validation split at one iteration, one rollout an image; cross-entropy in nats.

    - `balanced_accuracy`: the mean of the classes' own accuracies, where it was measured.
    - `classes`: of a run's last point alone, as `TestMetrics.classes`.
    """

    iteration: Count
    cross_entropy: NonNegative
    accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    classes: tuple[ClassAccuracy | None, ...] | None = None

    def judged(self, by: str) -> float:
        """What `Task.judged_by` names, 0..1; 0 where it was not measured."""
        return getattr(self, by) or 0.0


class StepMetrics(Strict):
    """The test split's single rollouts after t glimpses; cross-entropy in nats."""

    cross_entropy: NonNegative
    accuracy: Fraction
    balanced_accuracy: Fraction


class TestMetrics(Strict):
    """The test split after the last iteration.

    `cross_entropy` (nats) and `accuracy` are of single rollouts, averaged over `rollouts` of them;
    `averaged_*` are of the mean of the rollouts' class probabilities. Not in files of formats 1
    and 2:

    - `balanced_accuracy`, `averaged_balanced_accuracy`: means of the classes' own accuracies, over
      the classes that the split has.
    - `classes`: of single rollouts, in the task's order; None for a class that the split lacks.
    - `after`: of single rollouts, after each of the T glimpses; the last is the run's own.
    """

    __test__ = False

    images: Positive
    rollouts: Positive
    cross_entropy: NonNegative
    accuracy: Fraction
    averaged_cross_entropy: NonNegative
    averaged_accuracy: Fraction
    balanced_accuracy: Fraction | None = None
    averaged_balanced_accuracy: Fraction | None = None
    classes: tuple[ClassAccuracy | None, ...] | None = None
    after: Annotated[tuple[StepMetrics, ...], Field(min_length=1)] | None = None


class Environment(Strict):
    """Versions and hardware; says where a result came from and never enters a score.

    `deterministic`: True where deterministic algorithms alone were used (`--deterministic`).
    """

    package: Text
    python: Text
    torch: Text
    device: Text
    hardware: Text
    deterministic: bool | None = None


class StepLocations(Strict):
    """Where the test rollouts looked at one step: `counts[i]` times at cell `cells[i]`.

    `cells` are indices into the task's grid, increasing; cells never looked at are left out.
    """

    cells: Annotated[tuple[Count, ...], Field(min_length=1)]
    counts: tuple[Positive, ...]

    @model_validator(mode="after")
    def _one_count_a_cell(self) -> Self:
        if len(self.cells) != len(self.counts):
            raise ValueError("counts: there must be one for each of cells")
        if any(a >= b for a, b in itertools.pairwise(self.cells)):
            raise ValueError("cells: must increase strictly")
        return self


class BuildCost(Strict):
    """What making the sequences that supervised cost, AVP and bank included: declared, not scored.

    `seconds` on `hardware`: of processor time where that is a number of cores.
    """

    seconds: NonNegative
    hardware: Text


class RunResult(RunConfig):
    """A finished run. `wall_time_s` covers this run's training and validation, not pre-training.

    `locations`: the T steps of all `test.images` times `test.rollouts` test rollouts, if they were
    counted (`step_locations` makes it). `build_cost`: of what was `built`, if it was
    declared.
    """

    format_version: Annotated[int, Field(ge=FORMAT_VERSION, le=FORMAT_VERSION)]
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]
    test: TestMetrics
    wall_time_s: NonNegative
    environment: Environment
    locations: Annotated[tuple[StepLocations, ...], Field(min_length=1)] | None = None
    build_cost: BuildCost | None = None

    @model_validator(mode="after")
    def _curve_covers_the_run(self) -> Self:
        at = [point.iteration for point in self.curve]
        if any(a >= b for a, b in itertools.pairwise(at)):
            raise ValueError("curve: iterations must increase strictly")
        if at[0] != 0 or at[-1] != self.hyperparameters.iterations:
            raise ValueError("curve: must run from iteration 0 to hyperparameters.iterations")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        rollouts = self.test.images * self.test.rollouts
        for step, located in enumerate(self.locations or ()):
            if sum(located.counts) != rollouts:
                raise ValueError(f"locations.{step}.counts: must add up to the {rollouts} rollouts")
        if self.test.after and len(self.test.after) != len(self.locations or self.test.after):
            raise ValueError("test.after: must have one for each step of locations")
        known = self.test.classes
        if known is not None and sum(c.images for c in known if c) != self.test.images:
            raise ValueError("test.classes: must add up to test.images")
        validated = self.curve[-1].classes
        if validated is not None and not any(c.images for c in validated if c):
            raise ValueError(f"curve.{len(self.curve) - 1}.classes: no class has images")
        if self.test.rollouts != self.hyperparameters.rollouts:
            raise ValueError("test.rollouts: differs from hyperparameters.rollouts")
        if self.build_cost is not None and not self.built:
            raise ValueError("build_cost: given where nothing was built")
        return self


def step_locations(counts: Iterable[Iterable[int]]) -> tuple[StepLocations, ...]:
    """`RunResult.locations` of counts (T, cells)."""
    steps = [[(cell, int(n)) for cell, n in enumerate(step) if n] for step in counts]
    return tuple(
        StepLocations(cells=tuple(c for c, _ in step), counts=tuple(n for _, n in step))
        for step in steps
    )


def location_counts(runs: Iterable[RunResult], T: int, cells: int) -> np.ndarray:
    """int64 (T, cells): how often the runs' test rollouts looked where at each step.

    Raises `NogsError` if one does not say, took another number of glimpses, or looked at a cell
    that the grid has not.
    """
    counts = np.zeros((T, cells), np.int64)
    for run in runs:
        if run.locations is None:
            raise NogsError(
                f"{run.name} does not say where it looked; delete its result and evaluate again"
            )
        if len(run.locations) != T:
            raise NogsError(f"{run.name} took {len(run.locations)} glimpses, not {T}")
        for t, step in enumerate(run.locations):
            if step.cells[-1] >= cells:
                raise NogsError(f"{run.name} looked at cell {step.cells[-1]}, which its task lacks")
            counts[t, list(step.cells)] += step.counts
    return counts
