"""The paper's claim on real images: PS-NOGS against RAM on Fashion-MNIST, both protocols.

    python benchmarks/headline.py --sequences nogs/fashion-mnist [--seeds 3] [--out results]

`pretrained`: RAM and PS-NOGS for 7,500 iterations; compares PS-NOGS at 1,500 with RAM at 7,500.
`scratch`: both for 8,000; compares them at 2,000. Prints the curves, means over seeds, each with
its 95 % interval, and last one line of JSON. Runs that are in `--out` are not repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nogs_bench import evaluate
from nogs_bench.figures import estimate_text
from nogs_bench.results import Estimate, RunResult, estimate, load_results

TASK = "fashion-mnist"
CLAIMS = {"pretrained": (1_500, 7_500), "scratch": (2_000, 2_000)}


def accuracy(runs: list[RunResult], iteration: int) -> Estimate:
    """Validation accuracy at an iteration, over the runs' seeds."""
    points = [{point.iteration: point.accuracy for point in run.curve} for run in runs]
    return estimate([point[iteration] for point in points])


def show(value: Estimate) -> str:
    return estimate_text(value, "{:.3f}".format)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sequences", required=True)
    arguments.add_argument("--supervised", type=int, default=3_000)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--protocols", default=",".join(CLAIMS))
    arguments.add_argument("--out", default="results")
    given = arguments.parse_args()
    report: dict[str, object] = {"task": TASK, "seeds": given.seeds}
    for protocol in given.protocols.split(","):
        nogs_at, ram_at = CLAIMS[protocol]
        out = Path(given.out) / protocol
        scores = evaluate(
            task=TASK,
            sequences=given.sequences,
            supervised=given.supervised,
            seeds=given.seeds,
            protocol=protocol,
            out=out,
        )
        runs = {
            method: [r for r in load_results(out) if r.method == method and r.seed < given.seeds]
            for method in ("ram", "ps-nogs")
        }
        print(f"\n{protocol}: validation accuracy, mean and 95 % interval over {given.seeds} seeds")
        print(f"{'iteration':>9}  {'ram':22}  {'ps-nogs':22}")
        for point in runs["ram"][0].curve:
            cells = [show(accuracy(members, point.iteration)) for members in runs.values()]
            print(f"{point.iteration:>9}  {cells[0]:22}  {cells[1]:22}")
        nogs, ram = accuracy(runs["ps-nogs"], nogs_at), accuracy(runs["ram"], ram_at)
        print(f"ps-nogs at {nogs_at}: {show(nogs)}; ram at {ram_at}: {show(ram)}")
        report[protocol] = {
            "ps_nogs_at": nogs_at,
            "ps_nogs": nogs.mean,
            "ram_at": ram_at,
            "ram": ram.mean,
            "lead": nogs.mean - ram.mean,
            "speed_ups": [row["speed_ups"] for row in scores.as_json() if row["speed_ups"]],
            "test_accuracy": {row.method: row.test_accuracy.mean for row in scores.rows},
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
