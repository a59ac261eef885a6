"""What a score is: a row of numbers for each method on each task, and all rows together."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from nogs_bench.notebook import html_rows
from nogs_bench.results.ranking import Profile, performance_profiles
from nogs_bench.results.statistics import Estimate, Span, SpanEstimate, plain

# A method and a model; a task and a protocol.
Entrant = tuple[str, str]
Board = tuple[str, str]


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one (task, protocol, method, model, learning rate) over its seeds.

    Times, in iterations, are `SpanEstimate`s. With "RAM": RAM's runs with the same model, at the
    protocol's rate, or else at the rate of theirs that comes to the least cross-entropy.

    - `as_good`, `as_good_accuracy`: until the run is as good as RAM ever gets: cross-entropy within
      the task's tolerance of the mean of RAM's least (`level`), accuracy likewise of the mean of
      its highest (`level_accuracy`); None where RAM was not run or never learned.
    - `time_to_target`: at the protocol's `target_accuracy`.
    - `convergence`: by the task's own criterion of the two that follow.
    - `convergence_cross_entropy` (figure 5), `convergence_accuracy` (Table 1, CUB).
    - `test_accuracy`: of single rollouts; `test_accuracy_averaged`: of M rollouts' mean;
      `test_balanced_accuracy`: None where a run did not record it.
    - `best_accuracy`: highest validation accuracy of the curve.
    - `area_under_curve`: mean validation accuracy over the run.
    - `speed_ups`: how many times sooner than RAM, paired by seed, by the names of those times;
      `with_pretraining`: the same with the pre-training's iterations on both sides, {} without.
    - `ratio_of_means`: likewise of mean times, as the paper's "factor of 6.8", of these runs alone;
      its `paper` is of the task's own criterion as the paper has it, wherever the least lies.
    - `same_rate`: `speed_ups` over RAM at the entry's own rate, where that is another; {} if RAM
      was not run at it.
    - `test_gain`: test accuracy over RAM's, paired by seed.
    - `area_gain`: the area between the run's curve and RAM's, paired by seed: mean validation
      accuracy over the run less RAM's; None where these ran for another length.
    - `anytime`: test accuracy after each glimpse t = 1 .. T, of single rollouts; None where a run
      did not record it.
    - `rank`: the best and the worst that it can have by time to target among all entries of the
      task and protocol; None where these differ in length, batch size, validation period or length
      of pre-training, so that their iterations are not worth the same.
    - `remarks`: what of the runs is of older rules.
    - `judged_by`: what `target_accuracy` is about, as the task has it.
    """

    task: str
    protocol: str
    method: str
    model: str
    learning_rate: float
    seeds: tuple[int, ...]
    iterations: int
    pretraining_iterations: int
    target_accuracy: float
    build_seconds: float | None
    level: float | None
    level_accuracy: float | None
    reference_rate: float | None
    as_good: SpanEstimate | None
    as_good_accuracy: SpanEstimate | None
    time_to_target: SpanEstimate
    convergence: SpanEstimate
    convergence_cross_entropy: SpanEstimate
    convergence_accuracy: SpanEstimate
    best_accuracy: Estimate
    test_accuracy: Estimate
    test_accuracy_averaged: Estimate
    test_balanced_accuracy: Estimate | None
    test_cross_entropy: Estimate
    area_under_curve: Estimate
    speed_ups: dict[str, SpanEstimate]
    with_pretraining: dict[str, SpanEstimate]
    ratio_of_means: dict[str, Span]
    same_rate: dict[str, SpanEstimate]
    test_gain: Estimate | None
    area_gain: Estimate | None = None
    anytime: tuple[Estimate, ...] | None = None
    rank: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()
    judged_by: str = "accuracy"

    @property
    def headline(self) -> SpanEstimate | None:
        """How many times sooner than RAM it is as good as RAM ever gets."""
        return self.speed_ups.get("as_good")


@dataclass(frozen=True)
class Scores:
    """Rows ordered by task, protocol and model; RAM first, then methods by name and rate."""

    rows: tuple[ScoreRow, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain JSON values; an end that nothing bounds is null."""
        return [plain(asdict(row)) for row in self.rows]

    def _repr_html_(self) -> str:
        return html_rows(
            "Scores: iterations, middle of the seeds; mean test accuracy with its 95 % interval",
            (
                "task",
                "method",
                "rate",
                "seeds",
                "as good as RAM ever gets",
                "to the target",
                "test, %",
            ),
            [
                (
                    f"{row.task}, {row.protocol}",
                    row.method,
                    f"{row.learning_rate:.12g}",
                    len(row.seeds),
                    _iterations(row.as_good),
                    f"{100 * row.target_accuracy:.4g} %: {_iterations(row.time_to_target)}",
                    _share(row.test_accuracy),
                )
                for row in self.rows
            ],
        )

    def over_boards(self) -> dict[Entrant, dict[Board, ScoreRow]]:
        """(method, model) to its row on each board (task, protocol) whose entries are ranked.

        Of several learning rates, the one whose median seed comes first to the target; of equals,
        the least.
        """
        found: dict[Entrant, dict[Board, ScoreRow]] = {}
        for row in self.rows:
            if row.rank is None:
                continue
            own = found.setdefault((row.method, row.model), {})
            board = row.task, row.protocol
            if board not in own or _seen(row) < _seen(own[board]):
                own[board] = row
        return found

    def profiles(self) -> dict[Entrant, Profile]:
        """(method, model) to its performance profile over the boards of `over_boards`.

        The time of a workload is the median over seeds of the validation that saw the target
        passed, infinite where most seeds never did.
        """
        return performance_profiles(
            {
                entrant: {board: _seen(row) for board, row in own.items()}
                for entrant, own in self.over_boards().items()
            }
        )


def _seen(row: ScoreRow) -> float:
    """The median over seeds of the validation that saw the target passed."""
    return statistics.median(value.high for value in row.time_to_target.values)


def _iterations(found: SpanEstimate | None) -> str:
    if found is None or not found.middle.known:
        return "not known"
    low, high = found.middle.low, found.middle.high
    if not found.middle.reached:
        return f"> {low:,.0f}"
    if low == 0:
        return f"< {high:,.0f}"
    return f"{high:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _share(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.mean:.1f}"
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
