"""What sequences are worth: PS-NOGS's curves with each of several sets of them.

    python benchmarks/sequences.py 600=nogs/fashion-mnist:600 3000=nogs/fashion-mnist:3000

A set is `LABEL=FOLDER` or `LABEL=FOLDER:COUNT`, its first COUNT sequences. Every set trains the
same networks, from the same weights, on the same seeds; RAM (`--methods`) may be trained beside the
first. Prints for each set the time to the protocol's target, the mean validation accuracy over the
whole run (area under the curve), its paired difference to the first set's, and the test accuracy:
means over seeds with 95 % intervals. Draws the curves (`--figure`), and prints last one line of
JSON. Runs that are in `--out` are not repeated.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from shared_weights import share_weights

from nogs_bench import evaluate
from nogs_bench.figures import drawing, estimate_text, percent, spans_text
from nogs_bench.results import (
    Estimate,
    RunResult,
    ScoreRow,
    SpanEstimate,
    area_under_curve,
    estimate,
    load_results,
    plain,
)

HEADS = ("iterations to target", "mean accuracy, %", "gain over the first", "test accuracy, %")
WIDTH = 26


def areas(runs: list[RunResult]) -> np.ndarray:
    """Of the seeds in their order."""
    return np.array([area_under_curve(run.curve) for run in sorted(runs, key=lambda r: r.seed)])


def draw(axes: Any, label: str, runs: list[RunResult]) -> None:
    """The mean over seeds, in its 95 % intervals."""
    at = [point.iteration for point in runs[0].curve]
    points = [estimate([run.curve[i].accuracy for run in runs]) for i in range(len(at))]
    (line,) = axes.plot(at, [100 * p.mean for p in points], linewidth=1.5, label=label)
    axes.fill_between(
        at,
        [100 * (p.mean if p.low is None else p.low) for p in points],
        [100 * (p.mean if p.high is None else p.high) for p in points],
        color=line.get_color(),
        alpha=0.15,
        linewidth=0,
    )


def measured(
    row: ScoreRow, runs: list[RunResult], first: list[RunResult]
) -> dict[str, Estimate | SpanEstimate]:
    """In the order of `HEADS`."""
    return {
        "time_to_target": row.time_to_target,
        "area_under_curve": row.area_under_curve,
        "gain": estimate((areas(runs) - areas(first)).tolist()),
        "test_accuracy": row.test_accuracy,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("sets", nargs="+", metavar="LABEL=FOLDER[:COUNT]")
    arguments.add_argument("--task", default="fashion-mnist")
    arguments.add_argument("--protocol", default="pretrained")
    arguments.add_argument("--methods", default="ps-nogs", help="of the first set; others: ps-nogs")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--evaluation-period", type=int)
    arguments.add_argument("--out", type=Path, default=Path("results"))
    arguments.add_argument("--figure", type=Path)
    given = arguments.parse_args()
    period = given.evaluation_period
    curves: dict[str, tuple[ScoreRow, list[RunResult]]] = {}
    for number, text in enumerate(given.sets):
        label, _, place = text.partition("=")
        folder, _, count = place.partition(":")
        out = given.out / given.protocol / label
        share_weights(given.out / ".pretrained", out)
        scores = evaluate(
            task=given.task,
            sequences=folder,
            supervised=int(count) if count else None,
            methods="ps-nogs" if number else given.methods,
            seeds=given.seeds,
            protocol=given.protocol,
            training={"evaluation_period": period} if period else None,
            out=out,
        )
        results = load_results(out)
        for row in scores.rows:
            name = label if row.method == "ps-nogs" else row.method
            curves[name] = row, [run for run in results if run.method == row.method]
    _, first = next(curve for curve in curves.values() if curve[0].method == "ps-nogs")
    found = {name: measured(row, runs, first) for name, (row, runs) in curves.items()}
    print(f"\n{given.task}, {given.protocol}, {given.seeds} seeds, mean and 95 % interval")
    print(f"{'':12} " + " ".join(f"{head:{WIDTH}}" for head in HEADS))
    for name, values in found.items():
        cells = [
            spans_text(value) if isinstance(value, SpanEstimate) else estimate_text(value, percent)
            for value in values.values()
        ]
        print(f"{name:12} " + " ".join(f"{cell:{WIDTH}}" for cell in cells))
    if given.figure:
        with drawing(given.figure, (5.6, 3.6)) as figure:
            axes = figure.subplots()
            for label, (_, runs) in curves.items():
                draw(axes, label, runs)
            axes.set(xlabel="iterations", ylabel="validation accuracy, %")
            axes.grid(axis="y", color="0.92", linewidth=0.8)
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    sets = {
        name: {key: plain(asdict(value)) for key, value in values.items()}
        for name, values in found.items()
    }
    report = {"task": given.task, "protocol": given.protocol, "seeds": given.seeds, "sets": sets}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
