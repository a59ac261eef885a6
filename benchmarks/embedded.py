"""What annotating costs where the bank's glimpses are embedded once, and where they are not.

    python benchmarks/embedded.py [--task utkface-gender] [--images 8] [--bank 200] [--repeats 3]

A task whose posterior sees glimpses alone (`patch-sum`, `patch-attention`), with random weights and
noise for images. In turns, on one thread, in processor time: images annotated with every glimpse
computed when it is asked for, and with those of the bank's images known (`EmbeddedBank`); and what
embedding an image of the bank takes. From these it says how many images pay for the bank of the
task. The last line is all that as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rates import noise

from nogs_bench.builders.completion import Retrieval
from nogs_bench.builders.posterior import Avp, EmbeddedBank
from nogs_bench.builders.search import Annotator
from nogs_bench.executors import single_thread
from nogs_bench.results import environment
from nogs_bench.tasks import get_task


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--task", default="utkface-gender")
    arguments.add_argument("--images", type=int, default=8)
    arguments.add_argument("--bank", type=int, default=200)
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    single_thread("cpu")
    task = get_task(given.task)
    settings = replace(task.annotation, first_samples=100)
    task, bank = replace(task, annotation=settings), noise(task, given.bank)
    avp = Avp(task).freeze()
    plain = Annotator(task, avp, Retrieval(bank, task.grid, settings), 0)
    first, images = plain.first_step(), noise(task, given.images).images
    times: dict[str, list[float]] = {"anew": [], "known": [], "embedding": []}
    with TemporaryDirectory(prefix="nogs-bench-") as folder:
        kept = EmbeddedBank(avp, bank.images, Path(folder))
        ways = {"anew": plain, "known": replace(plain, embedded=kept)}
        for repeat in range(given.repeats + 1):
            for name, annotator in ways.items():
                work = partial(annotator.annotate, images, range(len(images)), first)
                took = seconds(work) / len(images)
                if repeat:  # in the first, all of the bank's images are embedded
                    times[name].append(took)
                    print(f"{name}: {took:.2f} s an image", flush=True)
            times["embedding"].append(seconds(lambda: kept.embedded(0)))
    ratios = np.divide(times["anew"], times["known"])
    copies = task.annotation.bank_images * (2 if settings.mirrored else 1)
    once = median(times["embedding"])
    print(f"{median(ratios):.1f} x ({ratios.min():.1f}-{ratios.max():.1f}) less for an image")
    saved = median(times["anew"]) - median(times["known"])
    print(f"the bank's {copies:,} x {once:.3f} s pay for {copies * once / saved:.0f} images")
    record = {
        "task": task.name,
        "hardware": environment(torch.device("cpu")).hardware,
        "seconds": {name: [round(x, 4) for x in each] for name, each in times.items()},
        "ratio": [round(float(x), 3) for x in (median(ratios), ratios.min(), ratios.max())],
        "copies": copies,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
