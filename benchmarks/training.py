"""What training costs: this package against baselines, in the same run, on one CPU thread.

    python benchmarks/training.py [--quick] [--scratch FOLDER] [--parts seeds,plain_ram]

Baseline and product alternate, round by round, and each figure is a median of CPU seconds of one
thread (wall-clock seconds for two processes). A ratio is the median of the rounds' own ratios, and
beside it stand the least and the greatest (`..._range`). The baselines are rewrites, made for this
script: they do what the code that they stand for does, in as many operations, but they are not that
code, which may be quicker or slower.

- `Authors`: what the trainer of the paper's authors does and costs: the network of this package,
  glimpses by a loop over images, `Categorical` of softmax probabilities. In memory it has images as
  float tensors; from disk it decodes a batch of 224 x 224 PNG files, mirrors half of
  them and normalises.
- `PlainRam`: recurrent attention as commonly written (28 x 28, 6 glimpses of 8 x 8, batches of
  128): fully connected, normally distributed locations, a loop over images for the glimpses. Once
  more with the policy of this package, a choice among 441 locations by `Categorical`. Beside them
  the matrix products alone that this package's step cannot do without.
- Ten seeds one after another: `nogs-bench evaluate --together 1`, the models as they are.

The 30,000 images of the memory test are random and are deleted afterwards (4.5 GB in `--scratch`).
Prints a table and, last, one line of JSON. Takes less than 20 minutes; `--quick` is for tests.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from training_baselines import Authors, PlainRam, RamNet, ram_products
from training_rounds import compare, medians, per_iteration, product, ratio, repeated, show

from nogs_bench.images import LabelledImages, open_split, shared_images
from nogs_bench.network import ImageTensors
from nogs_bench.tasks import GlimpseGrid, Task, get_task

CPU = torch.device("cpu")


def faces(count: int, size: int = 224) -> np.ndarray:
    """uint8 (count, 3, size, size): smooth pictures with some noise, which PNG packs as photos."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((count, 3, 14, 14), np.float32))
    smooth = functional.interpolate(coarse, (size, size), mode="bicubic").numpy()
    noisy = 255 * smooth + rng.normal(0, 3, smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def celeba(quick: bool, scratch: Path, rounds: int) -> dict[str, Any]:
    """In memory and from disk, against the authors' trainer."""
    task, count = get_task("celeba-hq-male"), 64 if quick else 512
    pixels = faces(count)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 2, count))
    scaled = (torch.from_numpy(pixels.astype(np.float32)) / 255 - 0.5) / 0.25
    in_memory = Authors(task, lambda rows: scaled[rows], labels)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for number, image in enumerate(pixels):
            Image.fromarray(image.transpose(1, 2, 0)).save(f"{folder}/{number:06}.png")

        def decoded(rows: Tensor) -> Tensor:
            batch = []
            for number in rows.tolist():
                with Image.open(f"{folder}/{number:06}.png") as image:
                    array = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255
                if number % 2:
                    array = array[:, :, ::-1]
                batch.append(torch.from_numpy(np.ascontiguousarray((array - 0.5) / 0.25)))
            return torch.stack(batch)

        split = LabelledImages(pixels, labels.numpy()[:, None])
        with shared_images({"train": split}, Path(folder)) as store:
            mapped = ImageTensors.of(open_split(store, "train"), replace(task, target=0), CPU)
            ways = {
                "memory": repeated(in_memory, count, 64),
                "disk": repeated(Authors(task, decoded, labels), count, 64),
                "ours": product(task, ImageTensors(torch.from_numpy(pixels), labels)),
                "ours alone": product(
                    task, ImageTensors(torch.from_numpy(pixels), labels), stacked=False
                ),
                "ours mapped": product(task, mapped),
            }
            iterations = dict.fromkeys(ways, 2 if quick else 20)
            ms = compare(ways, iterations, rounds)
    names = {
        "baseline_in_memory_ms": "memory",
        "baseline_with_data_ms": "disk",
        "product_in_memory_ms": "ours",
        "product_alone_ms": "ours alone",
        "product_with_data_ms": "ours mapped",
    }
    return {
        **medians(ms, names),
        **ratio(ms, "speedup_in_memory", "memory", "ours"),
        **ratio(ms, "speedup_with_data", "disk", "ours mapped"),
    }


def seeds(quick: bool, rounds: int) -> dict[str, Any]:
    """Ten seeds of fashion-mnist together against one after another."""
    found: dict[str, Any] = {}
    for protocol in ("scratch", "pretrained"):
        task, images = fashion(protocol)
        frozen = protocol == "pretrained"
        ways = {
            "alone": product(task, images, stacked=False, frozen=frozen),
            "stack of one": product(task, images, frozen=frozen),
            "ten": product(task, images, runs=10, frozen=frozen),
        }
        iterations = dict.fromkeys(ways, 4 if quick else 100) | {"ten": 2 if quick else 30}
        ms = compare(ways, iterations, rounds)
        singly = {"one_after_another_ms": "alone", "stacks_of_one_ms": "stack of one"}
        found[protocol] = {
            **medians(ms, singly, 10),
            **medians(ms, {"ten_together_ms": "ten"}),
            **ratio(ms, "speedup", "alone", "ten", 10),
            **ratio(ms, "speedup_over_stacks_of_one", "stack of one", "ten", 10),
        }
    return {"seeds": found, "seeds_speedup": found["scratch"]["speedup"]}


def fashion(protocol: str) -> tuple[Task, ImageTensors]:
    """The task with the protocol's settings, and random images of its size."""
    task = get_task("fashion-mnist")
    task = replace(task, training=task.protocol(protocol).training or task.training)
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (55_000, 1, 28, 28)).astype(np.uint8))
    return task, ImageTensors(pixels, torch.from_numpy(rng.integers(0, 10, 55_000)))


def _five(rounds: int, iterations: int, ask: Any, into: Any) -> None:
    """Trains five runs each time that it is asked to; tells the seconds that it took."""
    torch.set_num_threads(1)
    task, images = fashion("scratch")
    go = product(task, images, runs=5)
    go(2)
    into.put((0.0, 0.0))
    for _ in range(rounds):
        ask.get()
        began = time.perf_counter(), time.process_time()
        go(iterations)
        into.put((time.perf_counter() - began[0], time.process_time() - began[1]))


def two_cores(quick: bool) -> dict[str, Any]:
    """Ten seeds as two groups of five: one after the other, then in two processes at once.

    The processes are started before; both ways alternate. By wall-clock time, which tells something
    only where no other process takes the cores, and by the CPU time of the slower process: what the
    ratio is where each has a core of its own.
    """
    rounds, iterations = (1, 2) if quick else (7, 100)
    context = multiprocessing.get_context("spawn")
    into = context.Queue()
    asks = [context.Queue() for _ in range(2)]
    processes = [
        context.Process(target=_five, args=(2 * rounds, iterations, ask, into)) for ask in asks
    ]
    for process in processes:
        process.start()
    for _ in processes:
        into.get()
    found: dict[str, list[float]] = {"one": [], "two": [], "one cpu": [], "two cpu": []}
    for _ in range(rounds):
        each = []
        for ask in asks:
            ask.put(None)
            each.append(into.get())
        found["one"].append(sum(seconds for seconds, _ in each))
        found["one cpu"].append(sum(seconds for _, seconds in each))
        for ask in asks:
            ask.put(None)
        each = [into.get() for _ in asks]
        found["two"].append(max(seconds for seconds, _ in each))
        found["two cpu"].append(max(seconds for _, seconds in each))
    for process in processes:
        process.join()
    names = {
        "one_core_s": "one",
        "two_cores_s": "two",
        "one_core_cpu_s": "one cpu",
        "two_cores_cpu_s": "two cpu",
    }
    return {
        **medians(found, names),
        **ratio(found, "two_cores_speedup", "one", "two"),
        **ratio(found, "two_cores_speedup_of_cpu", "one cpu", "two cpu"),
    }


def plain_ram(quick: bool, rounds: int) -> dict[str, Any]:
    """Against recurrent attention as commonly written: the same layers and batches, and the
    reference network on the same glimpses."""
    task, images = fashion("scratch")
    grid = GlimpseGrid.even(image_size=28, glimpse_size=8, stride=1)
    settings = replace(task.training, batch_size=128, location_gradient=False)
    task = replace(task, T=6, grid=grid, training=settings)
    scaled = images.images[:4096].float() / 255

    def plain(ram: PlainRam) -> Callable[[int], None]:
        return repeated(lambda rows: ram(scaled[rows], images.labels[rows]), 4096, 128)

    ways = {
        "plain": plain(PlainRam()),
        "same policy": plain(PlainRam(grid)),
        "ours": product(task, images, RamNet),
        "reference": product(task, images),
        "products": ram_products(grid.cells),
    }
    ms = compare(ways, dict.fromkeys(ways, 3 if quick else 40), rounds)
    names = {
        "plain_ram_ms": "plain",
        "plain_ram_same_policy_ms": "same policy",
        "product_ram_ms": "ours",
        "product_reference_ms": "reference",
        "product_ram_products_ms": "products",
    }
    return {
        **medians(ms, names),
        **ratio(ms, "ram_speedup", "plain", "ours"),
        **ratio(ms, "ram_speedup_same_policy", "same policy", "ours"),
        **ratio(ms, "reference_speedup", "plain", "reference"),
    }


def _resident(file: str, count: int, iterations: int, into: Any) -> None:
    torch.set_num_threads(1)
    task = get_task("celeba-hq-male")
    pixels = np.memmap(file, np.uint8, "c", 0, (count, 3, 224, 224))
    labels = np.random.default_rng(0).integers(0, 2, (count, 1))
    with tempfile.TemporaryDirectory() as folder:
        rows = LabelledImages(pixels, labels)
        with shared_images({"train": rows}, Path(folder)) as store:
            images = ImageTensors.of(open_split(store, "train"), replace(task, target=0), CPU)
            product(task, images)(iterations)
    status = Path("/proc/self/status").read_text()
    into.put(1024 * int(status.partition("VmHWM:")[2].split()[0]))


def memory(quick: bool, scratch: Path) -> dict[str, Any]:
    """Peak resident set of a process that trains on 30,000 images, 224 x 224, in a file."""
    count = 1_000 if quick else 30_000
    block = np.random.default_rng(0).integers(0, 256, 3 * 224 * 224 * 500, np.uint8).tobytes()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        file = Path(folder, "images.bin")
        with file.open("wb") as out:
            for _ in range(count // 500):
                out.write(block)
        size = file.stat().st_size
        context = multiprocessing.get_context("spawn")
        into = context.Queue()
        arguments = (str(file), count, 5 if quick else 450, into)
        process = context.Process(target=_resident, args=arguments)
        process.start()
        peak = into.get()
        process.join()
    return {"disk_gb": size / 1e9, "rss_gib": peak / 2**30}


def figure_5(quick: bool) -> dict[str, Any]:
    """40 attributes x RAM and PS-NOGS x 5 seeds x 24,000 iterations on a GPU, extrapolated."""
    if not torch.cuda.is_available():
        print("figure 5: no GPU")
        return {"gpu": None}
    device, runs = torch.device("cuda"), 100
    count = 2_000 if quick else 27_000
    pixels = torch.randint(0, 256, (count, 3, 224, 224), dtype=torch.uint8, device=device)
    images = ImageTensors(pixels, torch.randint(0, 2, (count,), device=device))

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    go = product(get_task("celeba-hq-male"), images, runs=runs)
    go(5)
    ms = statistics.median(per_iteration(go, 10 if quick else 100, clock) for _ in range(3))
    hours = ms / 1000 * 24_000 * (40 * 2 * 5 / runs) / 3600
    print(f"figure 5 on {torch.cuda.get_device_name()}: {runs} runs {ms:.1f} ms, {hours:.2f} h")
    return {"gpu": torch.cuda.get_device_name(), "runs_at_once": runs, "figure_5_h": hours}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="seconds, for tests; no claim")
    arguments.add_argument("--scratch", type=Path, default=None, help="folder for 4.5 GB")
    arguments.add_argument("--parts", help="comma-separated names of functions here")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    scratch = given.scratch or Path(tempfile.gettempdir())
    rounds = 1 if given.quick else 5
    report: dict[str, Any] = {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "celeba": lambda: celeba(given.quick, scratch, rounds),
        "seeds": lambda: seeds(given.quick, rounds),
        "plain_ram": lambda: plain_ram(given.quick, rounds),
        "two_cores": lambda: two_cores(given.quick),
        "memory": lambda: memory(given.quick, scratch),
        "figure_5": lambda: figure_5(given.quick),
    }
    for name in given.parts.split(",") if given.parts else parts:
        found = parts[name]()
        report |= found
        show(found)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
