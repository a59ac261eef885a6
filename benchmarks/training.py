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
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.images import LabelledImages, open_split, shared_images
from nogs_bench.methods import METHODS
from nogs_bench.network import HardAttentionNet, ImageTensors
from nogs_bench.tasks import GlimpseGrid, Task, get_task
from nogs_bench.training import Run, Trainee, train_together

CPU = torch.device("cpu")


class Authors:
    """One training iteration of the authors' trainer for each call, in CelebA-HQ's setting."""

    def __init__(self, task: Task, images: Callable[[Tensor], Tensor], labels: Tensor):
        self.task, self.images, self.labels = task, images, labels
        self.net = HardAttentionNet(task)
        self.baseline = nn.Linear(task.training.hidden, 1)
        parameters = [*self.net.parameters(), *self.baseline.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=3e-4)
        self.pixels = task.grid.pixels.tolist()

    def __call__(self, rows: Tensor) -> None:
        net, size = self.net, self.task.glimpse_size
        images, labels = self.images(rows), self.labels[rows]
        state, log_ps, values = net.start(len(rows)), [], []
        for _ in range(self.task.T):
            chosen = torch.distributions.Categorical(torch.softmax(net.locate(state.detach()), 1))
            cells = chosen.sample()
            log_ps.append(chosen.log_prob(cells))
            values.append(self.baseline(state.detach())[:, 0])
            corners = [self.pixels[cell] for cell in cells.tolist()]
            patch = torch.stack(
                [
                    image[:, row : row + size, col : col + size]
                    for image, (row, col) in zip(images, corners, strict=True)
                ]
            )
            location = 2 * torch.tensor(corners, dtype=torch.float32) / 207 - 1
            state = net.look(state, patch, location)
        logits = net.classify(state)
        reward = (logits.argmax(1) == labels).float()
        error = reward[None] - torch.stack(values)
        reinforce = -(error.detach() * torch.stack(log_ps)).sum(0).mean()
        loss = functional.cross_entropy(logits, labels) + reinforce + error.square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class PlainRam(nn.Module):
    """Recurrent attention as commonly written; one training iteration for each call.

    `grid`: locations to choose among; None for a normal distribution in the plane.
    """

    def __init__(self, grid: GlimpseGrid | None = None) -> None:
        super().__init__()
        self.corners = None if grid is None else torch.from_numpy(grid.pixels)
        choices = 2 if grid is None else grid.cells
        self.patch, self.place = nn.Linear(64, 128), nn.Linear(2, 128)
        self.what, self.where = nn.Linear(128, 256), nn.Linear(128, 256)
        self.input, self.hidden = nn.Linear(256, 256), nn.Linear(256, 256)
        self.locator = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, choices))
        self.classifier, self.value = nn.Linear(256, 10), nn.Linear(256, 1)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=3e-4)

    def forward(self, images: Tensor, labels: Tensor) -> None:
        n = len(images)
        state, location = torch.zeros(n, 256), torch.empty(n, 2).uniform_(-1, 1)
        log_ps, values = [], []
        for _ in range(6):
            corner = (0.5 * (location + 1) * 28).long()
            padded = functional.pad(images, (4, 4, 4, 4))
            seen = [
                padded[i, :, corner[i, 0] : corner[i, 0] + 8, corner[i, 1] : corner[i, 1] + 8]
                for i in range(n)
            ]
            what = self.what(torch.relu(self.patch(torch.stack(seen).flatten(1))))
            where = self.where(torch.relu(self.place(location)))
            state = torch.relu(self.input(torch.relu(what + where)) + self.hidden(state))
            log_p, location = self.choose(self.locator(state.detach()))
            log_ps.append(log_p)
            values.append(self.value(state.detach())[:, 0])
        logits = torch.log_softmax(self.classifier(state), 1)
        reward = (logits.detach().argmax(1) == labels).float()
        error = reward[None] - torch.stack(values)
        reinforce = -(error.detach() * torch.stack(log_ps)).sum(0).mean()
        loss = functional.nll_loss(logits, labels) + error.square().mean() + 0.01 * reinforce
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def choose(self, located: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probability of a location drawn, and the location (n, 2) in -1 to 1."""
        if self.corners is None:
            chosen = torch.distributions.Normal(torch.tanh(located), 0.05)
            drawn = chosen.rsample().detach()
            return chosen.log_prob(drawn).sum(1), drawn.clamp(-1, 1)
        among = torch.distributions.Categorical(torch.softmax(located, 1))
        cells = among.sample()
        # Centres of glimpses, which the loop takes from images padded by half a glimpse.
        return among.log_prob(cells), (self.corners[cells].float() + 4) / 14 - 1


class RamNet(nn.Module):
    """`PlainRam`'s layers as a model of this package, which chooses among the grid's locations."""

    def __init__(self, task: Task):
        super().__init__()
        self.patch, self.place = nn.Linear(64, 128), nn.Linear(2, 128)
        self.what, self.where = nn.Linear(128, 256), nn.Linear(128, 256)
        self.input, self.hidden = nn.Linear(256, 256), nn.Linear(256, 256)
        self.locator = nn.Sequential(
            nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, task.grid.cells)
        )
        self.classifier = nn.Linear(256, 10)

    def start(self, n: int) -> Tensor:
        return self.hidden.weight.new_zeros(n, 256)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        what = self.what(torch.relu(self.patch(patch.flatten(1))))
        where = self.where(torch.relu(self.place(location)))
        return torch.relu(self.input(torch.relu(what + where)) + self.hidden(state))

    def locate(self, state: Tensor) -> Tensor:
        return self.locator(state)

    def classify(self, state: Tensor) -> Tensor:
        return self.classifier(state)


def product(
    task: Task,
    images: ImageTensors,
    make: Callable[[Task], Any] = HardAttentionNet,
    runs: int = 1,
    stacked: bool = True,
    frozen: bool = False,
) -> Callable[[int], None]:
    """Trains so many iterations of `runs` runs of RAM, without validation to speak of."""
    few = ImageTensors(images.images[:64], images.labels[:64])
    task = replace(task, training=replace(task.training, evaluation_period=10**9))

    def go(iterations: int) -> None:
        trainees = [
            Trainee(Run(task, METHODS["ram"], iterations, seed, frozen), make(task), images, few)
            for seed in range(runs)
        ]
        train_together(trainees, stacked=stacked)

    return go


def per_iteration(go: Callable[[int], None], iterations: int, clock: Callable[[], float]) -> float:
    """Milliseconds of an iteration: a long call less a short one."""
    times = []
    for count in (2, 2 + iterations):
        began = clock()
        go(count)
        times.append(clock() - began)
    return 1000 * (times[1] - times[0]) / iterations


def compare(
    ways: dict[str, Callable[[int], None]], iterations: dict[str, int], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of an iteration of each way in each round, after a first that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, go in ways.items():
            value = per_iteration(go, iterations[name], time.process_time)
            if number:
                found[name].append(value)
    return found


def medians(
    found: dict[str, list[float]], names: dict[str, str], factor: float = 1
) -> dict[str, float]:
    """`factor` times the median of each way, under the name it is reported by."""
    return {name: factor * statistics.median(found[way]) for name, way in names.items()}


def ratio(
    found: dict[str, list[float]], name: str, slow: str, quick: str, factor: float = 1
) -> dict[str, Any]:
    """How many times quicker `quick` is than `factor` of `slow`: the rounds' median and range."""
    each = [factor * a / b for a, b in zip(found[slow], found[quick], strict=True)]
    return {name: statistics.median(each), f"{name}_range": [min(each), max(each)]}


def repeated(step: Callable[[Tensor], None], images: int, batch: int) -> Callable[[int], None]:
    """Calls a baseline's step on so many random batches."""
    rng = np.random.default_rng(0)

    def go(iterations: int) -> None:
        for _ in range(iterations):
            step(torch.from_numpy(rng.integers(0, images, batch)))

    return go


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


def ram_products(cells: int) -> Callable[[int], None]:
    """The matrix products of an iteration of `RamNet`, forward and backward, and nothing else."""
    # (inputs, outputs, whether the input needs a gradient)
    seen = [(64, 128, 0), (2, 128, 0), (128, 256, 1), (128, 256, 1), (256, 256, 1), (256, 256, 1)]
    layers = [(torch.rand(128, i), torch.rand(i, o), torch.rand(128, o), g) for i, o, g in seen]
    # The location network detached from the state, on all six glimpses at once.
    layers += [
        (torch.rand(768, i), torch.rand(i, o), torch.rand(768, o), g)
        for i, o, g in [(256, 128, 0), (128, cells, 1)]
    ]

    def go(iterations: int) -> None:
        for _ in range(iterations):
            for x, weight, gradient, needed in layers:
                for _ in range(768 // len(x)):
                    torch.mm(x, weight)
                    torch.mm(x.T, gradient)
                    if needed:
                        torch.mm(gradient, weight.T)

    return go


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


def show(found: dict[str, Any], inside: str = "") -> None:
    """Print figures, one a line."""
    for name, value in found.items():
        if isinstance(value, dict):
            show(value, f"{inside}{name}.")
        elif isinstance(value, float):
            least, most = found.get(f"{name}_range", (None, None))
            span = "" if least is None else f"  [{least:.2f}, {most:.2f}]"
            print(f"{inside}{name:32} {value:10.2f}{span}", flush=True)


if __name__ == "__main__":
    main()
