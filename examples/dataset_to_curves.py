"""From a dataset of labelled images to training curves.

    python examples/dataset_to_curves.py hf:uoft-cs/cifar10 --minutes 60

A folder of images, or `hf:./PATH` of a dataset on this machine, will do as well. What it makes lies
in `own/`; when it is stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nogs_bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--iterations", type=int, help="of each run [default: the task's]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("own"))
    given = parser.parse_args()

    task = nogs_bench.task_of(given.images, minutes=given.minutes)
    print(f"{task.description}: {task.splits}, {task.grid.cells} places to look at")
    for odd in nogs_bench.check_task(task):
        print(f"odd: {odd}")
    nogs_bench.build(task, given.out / "sequences")
    scores = nogs_bench.evaluate(
        task=task,
        sequences=given.out / "sequences",
        seeds=given.seeds,
        iterations=given.iterations,
        out=given.out / "results",
    )
    for row in scores.rows:
        print(row.method, row.test_accuracy)
    nogs_bench.plot_curves(given.out / "results", given.out / "curves.png")


if __name__ == "__main__":
    main()
