"""What a build would make, keep and cost, reckoned from its settings without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from nogs_bench.builders.bank import ROWS, Fold, count_roles
from nogs_bench.builders.completion import (
    EXACT_PIXELS,
    EXTRA_COMPONENTS,
    FIT_IMAGES,
    FLOAT32_LATENTS,
    PASSES,
    PIECE_PIXELS,
    fitting_pieces,
    pieces_of,
)
from nogs_bench.builders.estimate.rates import Rates, image_name, read_rates
from nogs_bench.builders.generators import named_generator
from nogs_bench.builders.pipeline import (
    BuildPlan,
    cheaply,
    check_images,
    check_plan,
    glimpses_kept,
)
from nogs_bench.builders.posterior import Avp
from nogs_bench.builders.search import shard_size
from nogs_bench.errors import NogsError
from nogs_bench.tasks import COUNT, Task, merged_settings, settled

HOUR = 3600.0
Range = tuple[float, float]


@dataclass(frozen=True)
class StageEstimate:
    """One stage, in all folds.

    - `shards`: pieces that are made apart and kept; `bytes`: of all of them.
    - `hours`: of one worker, at least and at most; None where a rate has not been measured.
    - `lost_hours`: what a worker that dies loses at most, a shard; None likewise.
    """

    stage: str
    shards: int
    bytes: int
    hours: Range | None
    lost_hours: float | None


@dataclass(frozen=True)
class BuildEstimate:
    """A build's stages and their sums.

    - `unit`: of hours, "CPU-hours" or "GPU-hours"; `hardware`: what the rates were measured on.
    - `hours`: of all stages that could be reckoned; `days`: with all `workers` at work.
    - `lost_hours`: what losing a node of `workers_a_node` costs at most: a shard of each.
    - `unknown`: stages without a rate.
    """

    tasks: list[str]
    images: int
    unit: str
    hardware: str
    stages: list[StageEstimate]
    bytes: int
    hours: Range
    workers: int
    days: Range
    workers_a_node: int
    lost_hours: float
    unknown: list[str]

    @property
    def nothing_known(self) -> bool:
        """Whether no stage that takes long has been measured."""
        return bool(self.unknown) and not self.hours[1]

    def as_json(self) -> dict[str, Any]:
        """Null where nothing is known, as no time would look."""
        unknown = ("hours", "days", "lost_hours") if self.nothing_known else ()
        return asdict(self) | dict.fromkeys(unknown)


def estimate(
    plan: BuildPlan, rates: Rates, folds: int = 1, workers: int = 1, workers_a_node: int = 8
) -> BuildEstimate:
    """Reckon what `plan` costs, without reading an image. Raises `NogsError` where `build` would.

    Sequences of many labels cost between the work of one label, where all agree, and as many times
    that as there are labels, where no two do.
    """
    for name, number in (("workers", workers), ("workers_a_node", workers_a_node)):
        if number < 1:
            raise NogsError(f"{name} must be at least 1, got {number}")
    folds = settled("--folds", folds, "int", COUNT)
    check_plan(plan)
    stages = [*_stages(plan, rates, folds)]
    known = [stage.hours for stage in stages if stage.hours is not None]
    hours = (sum(low for low, _ in known), sum(high for _, high in known))
    lost = max((stage.lost_hours for stage in stages if stage.lost_hours is not None), default=0.0)
    return BuildEstimate(
        tasks=[task.name for task in plan.tasks],
        images=plan.count,
        unit=f"{rates.device.upper()}-hours",
        hardware=rates.hardware,
        stages=stages,
        bytes=sum(stage.bytes for stage in stages),
        hours=hours,
        workers=workers,
        days=(hours[0] / workers / 24, hours[1] / workers / 24),
        workers_a_node=workers_a_node,
        lost_hours=lost * min(workers, workers_a_node),
        unknown=[stage.stage for stage in stages if stage.hours is None],
    )


def _stages(plan: BuildPlan, rates: Rates, folds: int) -> Iterator[StageEstimate]:
    task = plan.task
    # Other folds have as many images, or one less.
    counts = count_roles(task, task.splits.train, plan.count, Fold(0, folds), bool(plan.bank))
    if not plan.bank:
        task = replace(task, annotation=replace(task.annotation, bank_images=counts.bank))
    settings, grid, labels = task.annotation, task.grid, len(plan.targets)
    pixels = task.channels * task.image_size**2
    bank, image = settings.bank_images, pixels + 8 * len(task.labels)
    if plan.bank:
        shards = ceil(bank / ROWS)
        seconds = _over(bank, rates.generators.get(named_generator(plan.bank)[0]))
        yield _row("generated bank", shards, bank * image, seconds, folds=1)
    stored = plan.count + (0 if plan.bank else bank * folds)
    yield StageEstimate("bank", folds, stored * image, (0.0, 0.0), 0.0)

    components = min(settings.components, pixels, bank)
    if settings.completion == "retrieval" and components:
        width = 4 if bank * components <= FLOAT32_LATENTS else 2
        size = bank * components * width + (components + 1) * pixels * 4
        shards = len(pieces_of(bank, pixels))
        if pixels <= EXACT_PIXELS:
            products, shards = bank * pixels**2 + 10 * pixels**3, 2 * shards
        else:
            seen = min(bank, FIT_IMAGES)
            products = 2 * PASSES * seen * pixels * (components + EXTRA_COMPONENTS)
            shards += (1 + PASSES) * len(fitting_pieces(bank, pixels))
        if bank * pixels <= PIECE_PIXELS:
            shards = 1
        seconds = _over(products + bank * pixels * components, rates.multiply_adds)
        yield _row("pca", shards, size, seconds, folds)

    key = image_name(task.avp.network, task)
    posteriors = rates.posteriors.get(key) if plan.posterior == "avp" else None
    if plan.posterior == "avp":
        check_images(task, counts.avp)
        rounds, chosen = task.avp.rounds, min(task.avp.chosen_images, counts.avp)
        seen = task.avp.epochs * counts.avp
        if task.avp.teacher:
            seconds = _over(seen, rates.training.get(image_name(task.avp.teacher, task)))
            yield _row("teacher", task.avp.epochs, 0, seconds, folds)
        seconds = _over((rounds + 1) * seen, rates.training.get(key))
        yield _row("avp", (rounds + 1) * task.avp.epochs, 0, seconds, folds)
        if rounds:
            cheap = cheaply(settings)
            each = _searched(task, rates, posteriors, cheap.search, cheap.samples)
            first = _over(grid.cells * cheap.first_completions(bank), posteriors)
            least, most = (
                None if each is None or first is None else rounds * (first + chosen * each * n)
                for n in (1, labels)
            )
            kept = rounds * chosen * labels * task.T * 8
            shards = rounds * ceil(chosen / shard_size(labels))
            yield _row("chosen", shards, kept, least, folds, most)

    first = grid.cells * settings.first_completions(bank)
    yield _row("first step", 1, labels * grid.cells * 8, _over(first, posteriors), folds=1)

    kept = labels * task.T * (2 * grid.cells + 8 * 4) + 8
    if plan.posterior == "avp" and settings.completion == "retrieval" and rates.device == "cpu":
        copies = bank * (2 if settings.mirrored else 1)
        size = glimpses_kept(task, Avp(task), copies, plan.count // folds)
        if size:
            posteriors = rates.embedded.get(key, posteriors)
            seconds = _over(copies * grid.cells, rates.embedding.get(key))
            yield _row("embedded", copies, size, seconds, folds)
    each = _searched(task, rates, posteriors, settings.search, settings.samples)
    shards = folds * ceil(plan.count / folds / shard_size(labels))
    whole = None if each is None else (plan.count * each / HOUR, plan.count * each * labels / HOUR)
    lost = None if each is None else shard_size(labels) * each * labels / HOUR
    yield StageEstimate("sequences", shards, plan.count * kept, whole, lost)
    maps = plan.count * labels * task.T * grid.cells * 2
    yield StageEstimate("datasets", labels, maps, (0.0, 0.0), 0.0)


def _searched(
    task: Task, rates: Rates, posteriors: float | None, search: str, samples: int
) -> float | None:
    """Seconds that the sequence of an image takes, of one label."""
    share = rates.searches.get(search)
    if share is None or task.annotation.completion != "retrieval":
        return None
    asked = (task.T - 1) * task.grid.cells * samples * share
    evaluated, retrieved = _over(asked, posteriors), _retrieval(task, rates)
    return None if evaluated is None or retrieved is None else evaluated + retrieved


def _retrieval(task: Task, rates: Rates) -> float | None:
    """Seconds that the completions of an image's steps take, of one label."""
    settings, steps = task.annotation, task.T - 1
    reversals, moves = 2 if settings.mirrored else 1, len(settings.shifts) ** 2
    if not settings.components:
        return _over(steps * settings.bank_images * reversals * moves, rates.exact)
    proposed = steps * settings.bank_images * reversals * len(settings.proposal_shifts) ** 2
    # Before step t + 1, all t glimpses are compared exactly.
    exact = steps * (steps + 1) / 2 * settings.retrieved * moves
    both = _over(proposed, rates.proposal), _over(exact, rates.exact)
    return None if None in both else sum(both)  # type: ignore[arg-type]


def _over(work: float, rate: float | None) -> float | None:
    return work / rate if rate else None


def _row(
    stage: str,
    shards: int,
    size: int,
    seconds: float | None,
    folds: int,
    most: float | None = None,
) -> StageEstimate:
    """A stage of all folds, of one fold's shards, bytes and seconds, at least and at `most`."""
    if seconds is None:
        return StageEstimate(stage, folds * shards, folds * size, None, None)
    low, high = (folds * each / HOUR for each in (seconds, most or seconds))
    lost = high / (folds * shards)
    return StageEstimate(stage, folds * shards, folds * size, (low, high), lost)


def estimate_build(
    task: str | Task | Sequence[str | Task],
    rates: str | Path | None = None,
    folds: int = 1,
    workers: int = 1,
    workers_a_node: int = 8,
    posterior: str = "avp",
    bank: str | None = None,
    precision: str = "float32",
    overrides: Mapping[str, Any] | None = None,
    **short: Any,
) -> BuildEstimate:
    """Reckon what `build` with these arguments would make and cost.

    **Arguments**

    - `rates`: a file that `benchmarks/rates.py` wrote; None those that come with the package.
    - `posterior`, `bank`, `precision`, `overrides` and their `short` forms (`images`, `search`,
      ...): as `build` has them.

    Raises `NogsError` at bad input.
    """
    plan = BuildPlan(
        spec=task if isinstance(task, str | Task) else tuple(task),
        out=Path(),
        posterior=posterior,
        bank=bank,
        precision=precision,
        settings=merged_settings("build", overrides, **short),
    )
    return estimate(
        plan, read_rates(Path(rates) if rates else None), folds, workers, workers_a_node
    )
