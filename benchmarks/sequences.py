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

from nogs_bench import evaluate
from nogs_bench.curves import area_under_curve
from nogs_bench.drawing import drawing
from nogs_bench.intervals import Estimate, estimate
from nogs_bench.result import RunResult, load_results
from nogs_bench.scoring import ScoreRow

WIDTH = 26


def show(value: Estimate, scale: float = 1, digits: int = 0) -> str:
    mean, low, high = (f"{scale * x:,.{digits}f}" for x in (value.mean, value.low, value.high))
    return f"{mean} [{low}, {high}]"


def areas(runs: list[RunResult]) -> np.ndarray:
    """Of the seeds in their order."""
    return np.array([area_under_curve(run.curve) for run in sorted(runs, key=lambda r: r.seed)])


def share_weights(folder: Path, out: Path) -> None:
    """Let evaluations in `out` find, and keep, the pre-trained weights in `folder`."""
    for path in (folder, out):
        path.mkdir(parents=True, exist_ok=True)
    if not (out / folder.name).exists():
        (out / folder.name).symlink_to(folder.resolve())


def draw(axes: Any, label: str, runs: list[RunResult]) -> None:
    """The mean over seeds, in its 95 % intervals."""
    at = [point.iteration for point in runs[0].curve]
    points = [estimate([run.curve[i].accuracy for run in runs]) for i in range(len(at))]
    (line,) = axes.plot(at, [100 * p.mean for p in points], linewidth=1.5, label=label)
    axes.fill_between(
        at,
        [100 * p.low for p in points],
        [100 * p.high for p in points],
        color=line.get_color(),
        alpha=0.15,
        linewidth=0,
    )


def row_of(row: ScoreRow, runs: list[RunResult], first: list[RunResult]) -> dict[str, Any]:
    gain = estimate((areas(runs) - areas(first)).tolist())
    values = {
        "time_to_target": row.time_to_target,
        "area_under_curve": row.area_under_curve,
        "gain": gain,
        "test_accuracy": row.test_accuracy,
    }
    return {name: asdict(value) for name, value in values.items()} | {"seeds": len(runs)}


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
    report: dict[str, Any] = {"task": given.task, "protocol": given.protocol, "sets": {}}
    curves: dict[str, list[RunResult]] = {}
    lines, first = [], None
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
            runs = [run for run in results if run.method == row.method]
            name = label if row.method == "ps-nogs" else row.method
            first = runs if first is None and row.method == "ps-nogs" else first
            found = row_of(row, runs, first or runs)
            curves[name], report["sets"][name] = runs, found
            cells = (
                show(row.time_to_target),
                show(row.area_under_curve, 100, 1),
                show(Estimate(**found["gain"]), 100, 1),
                show(row.test_accuracy, 100, 1),
            )
            lines.append(f"{name:12} " + " ".join(f"{cell:{WIDTH}}" for cell in cells))
    heads = ("iterations to target", "mean accuracy, %", "gain over the first", "test accuracy, %")
    print(f"\n{given.task}, {given.protocol}, {given.seeds} seeds, mean and 95 % interval")
    print(f"{'':12} " + " ".join(f"{head:{WIDTH}}" for head in heads))
    print("\n".join(lines))
    if given.figure:
        with drawing(given.figure, (5.6, 3.6)) as figure:
            axes = figure.subplots()
            for label, runs in curves.items():
                draw(axes, label, runs)
            axes.set(xlabel="iterations", ylabel="validation accuracy, %")
            axes.grid(axis="y", color="0.92", linewidth=0.8)
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
