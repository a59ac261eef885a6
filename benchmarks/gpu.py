"""What a GPU does: the same as the CPU, and how fast. For the day that one is there.

    python benchmarks/gpu.py [--out gpu.json] [--parts training,posteriors] [--device cuda]

No network and no data: random images and weights at the sizes of the package's tasks. Each part
takes about a minute or less on one GPU; what `--out` holds already is not done again, so that a
call that was cut goes on. `nogs-bench build --plan --rates gpu.json` reckons with it. Prints the
file, and last one line of JSON. `--small` is for the tests: tiny sizes, on any device.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rates import STYLEGAN_256, TOKENS, network, noise, timed
from torch.utils.flop_counter import FlopCounterMode

from nogs_bench.builders.completion import Pca, Proposal
from nogs_bench.builders.completion.evidence import ScheduledEvidence
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.estimate import Rates, image_name
from nogs_bench.builders.estimate.rates import read_rates
from nogs_bench.builders.generators.stylegan.network import StyleGanNetwork
from nogs_bench.builders.posterior import Avp, prepare
from nogs_bench.builders.search import Annotator
from nogs_bench.device import determined, replay, tf32_products
from nogs_bench.files import replacing
from nogs_bench.methods import METHODS
from nogs_bench.network import ImageTensors, load_model, reference_stack
from nogs_bench.tasks import Task, get_task
from nogs_bench.training import Run, Trainee
from nogs_bench.training.learner import Learner

# Glimpses of 8, 16, 6 and 4 pixels: (runs, whether with graphs, convolutions as matrices).
PLAIN, GRAPHS = (80, False, True), [(runs, True, True) for runs in (80, 40, 10, 1)]
TRAINED: dict[str, list[tuple[int, bool, bool]]] = {
    "celeba-10k-male": [*GRAPHS, PLAIN, (80, True, False)],
    "cluttered-digits": [GRAPHS[0], PLAIN, (80, True, False)],
    "fashion-mnist": [GRAPHS[0], PLAIN],
    "celeba-hq-male": [*GRAPHS, PLAIN],
}
FIGURE_5 = 400  # runs
Part = Callable[["Setting"], dict[str, Any]]


class Setting:
    """Where and at what size."""

    def __init__(self, device: str, small: bool):
        self.device, self.small = device, small

    def of(self, size: int, small: int) -> int:
        return small if self.small else size

    def wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


def products(setting: Setting) -> dict[str, Any]:
    """Large matrix products, multiply-adds a second: what the chip gives."""
    n, found = setting.of(8192, 256), {}
    kinds = {"float32": (torch.float32, "highest"), "tf32": (torch.float32, "high")}
    kinds["bfloat16"] = (torch.bfloat16, "highest")
    for name, (dtype, precision) in kinds.items():
        torch.set_float32_matmul_precision(precision)
        a, b = (torch.randn(n, n, device=setting.device).to(dtype) for _ in range(2))
        found[name] = n**3 / timed(partial(torch.matmul, a, b), setting.device, 5)
    torch.set_float32_matmul_precision("highest")
    return found


def training(setting: Setting) -> dict[str, Any]:
    """Milliseconds of a step of R runs together, with and without CUDA graphs, with the
    convolutions as matrices or not, and with deterministic algorithms alone; minutes of training
    figure 5's runs by it, validation apart. Medians of blocks of steps."""
    found: dict[str, Any] = {}
    small = {"cluttered-digits": [(2, True, True), (2, False, True)]}
    chosen = small if setting.small else TRAINED
    for name, ways in chosen.items():
        for runs, graphs, matrices in ways:
            key = f"{name} R={runs}{'' if graphs else ' without graphs'}"
            key += "" if matrices else " grouped convolutions"
            side = reference_stack.GPU_MATRIX_SIDE if matrices else 0
            learner, found[key] = step_ms(setting, get_task(name), runs, str(int(graphs)), side)
            print(f"{key}: {found[key]:.2f} ms{held(setting)}", flush=True)
            if not graphs:
                print(profile(learner, setting), flush=True)
        runs, graphs, matrices = ways[0]
        side = reference_stack.GPU_MATRIX_SIDE if matrices else 0
        length = get_task(name).protocols[0].iterations
        whole = FIGURE_5 / runs * length * found[f"{name} R={runs}"] / 60_000
        found[f"{name}, {FIGURE_5} runs of {length} iterations, minutes"] = whole
        key = f"{name} R={runs} deterministic"
        with determined():
            _, found[key] = step_ms(setting, get_task(name), runs, str(int(graphs)), side)
        print(f"{key}: {found[key]:.2f} ms{held(setting)}", flush=True)
    return found


def agreement(setting: Setting) -> dict[str, Any]:
    """How far a step's loss and gradient are from the CPU's, relative; and whether two trainings
    with deterministic algorithms alone end with the same bytes."""
    task, runs, steps = get_task("cluttered-digits"), setting.of(10, 2), setting.of(30, 2)
    gradients = [gradient(task, runs, device) for device in ("cpu", setting.device)]
    with determined():
        ends = [weights_after(task, runs, steps, setting.device) for _ in range(2)]
    away = float((gradients[0] - gradients[1]).norm() / gradients[0].norm())
    return {"gradient_error": away, "repeats": bool(torch.equal(*ends))}


def gradient(task: Task, runs: int, device: str) -> torch.Tensor:
    """Of a step's loss to all weights, for the same images and draws on every device."""
    learner = learner_of(task, runs, 40, device)
    random = torch.Generator().manual_seed(1)
    learner.begin(0)
    learner.draws.rows[:] = torch.randint(40, learner.draws.rows.shape, generator=random)
    learner.draws.uniform[:] = torch.rand(learner.draws.uniform.shape, generator=random)
    learner._step()
    grads = [p.grad for p in learner.parts["model"].parameters()]
    return torch.cat([grad.flatten().cpu() for grad in grads if grad is not None])


def weights_after(task: Task, runs: int, steps: int, device: str) -> torch.Tensor:
    learner = learner_of(task, runs, 40, device)
    learner.begin(0)
    for number in range(steps):
        learner.learn(number, steps)
    return torch.cat([p.detach().flatten() for p in learner.parts["model"].parameters()]).cpu()


def held(setting: Setting) -> str:
    if setting.device == "cpu":
        return ""
    most = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return f", {most / 2**30:.1f} GiB"


def profile(learner: Learner, setting: Setting, steps: int = 3) -> str:
    """What takes a step's time on the device."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recording

    kinds = [ProfilerActivity.CPU]
    if setting.device != "cpu":
        kinds.append(ProfilerActivity.CUDA)
    with recording(activities=kinds) as record:
        learner.begin(0)
        for number in range(steps):
            learner.draws.ahead(number, steps)
            learner._step()
        setting.wait()
    kernels: dict[str, list[float]] = {}
    for event in record.events() or ():
        own = kernels.setdefault(event.name[:70], [0, 0.0])
        if setting.device == "cpu":
            own[0] += 1
            own[1] += event.self_cpu_time_total / 1000
        elif str(event.device_type).endswith("CUDA"):
            own[0] += 1
            own[1] += event.device_time / 1000
    ranked = sorted(kernels.items(), key=lambda each: -each[1][1])
    count, total = (sum(own[n] for own in kernels.values()) / steps for n in (0, 1))
    lines = [f"{count:.0f} kernels, {total:.2f} ms a step"]
    lines += [f"{n / steps:6.0f} {ms / steps:8.3f} ms {name}" for name, (n, ms) in ranked[:14]]
    return "\n".join(lines)


def learner_of(task: Task, runs: int, count: int, device: str) -> Learner:
    """Runs of RAM on `count` random images."""
    rng = np.random.default_rng(0)
    shape = (count, task.channels, task.image_size, task.image_size)
    images = torch.from_numpy(rng.integers(256, size=shape, dtype=np.uint8)).to(device)
    labels = torch.from_numpy(rng.integers(len(task.classes), size=count)).to(device)
    split = ImageTensors(images, labels)
    trainees = [
        Trainee(
            Run(task, METHODS["ram"], 10_000, seed, False),
            load_model("reference").build(task, seed),
            split,
            split,
        )
        for seed in range(runs)
    ]
    return Learner(trainees, True)


def step_ms(
    setting: Setting, task: Task, runs: int, graphs: str, side: int
) -> tuple[Learner, float]:
    before, os.environ[replay.SWITCH] = os.environ.get(replay.SWITCH), graphs
    kept = reference_stack.GPU_MATRIX_SIDE
    reference_stack.GPU_MATRIX_SIDE = side
    try:
        learner = learner_of(task, runs, setting.of(4000, 40), setting.device)
        learner.begin(0)
        learner.network.train()
        done, times = 0, []
        block = setting.of(40, 2)
        for number in range(setting.of(5, 2)):
            setting.wait()
            start = time.perf_counter()
            with tf32_products(learner.device):
                for _ in range(block):
                    learner.learn(done, 10_000)
                    done += 1
            setting.wait()
            if number:
                times.append((time.perf_counter() - start) / block * 1000)
    finally:
        reference_stack.GPU_MATRIX_SIDE = kept
        os.environ.pop(replay.SWITCH) if before is None else os.environ.update(
            {replay.SWITCH: before}
        )
    return learner, float(np.median(times))


def posteriors(setting: Setting) -> dict[str, Any]:
    """Evaluations a second of each AVP, by precision; their share of the chip's product rate."""
    found: dict[str, Any] = {}
    tasks = [get_task("celeba-hq-male"), get_task("celeba-10k-male"), get_task("cluttered-digits")]
    tasks.insert(0, replace(tasks[0], avp=replace(tasks[0].avp, network=TOKENS)))
    for task in tasks[setting.of(0, 3) :]:
        avp = Avp(task).to(setting.device).freeze()
        rng, n = np.random.default_rng(1), setting.of(512, 16)
        images = torch.from_numpy(noise(task, 20).images).to(setting.device)
        prefix = torch.from_numpy(rng.integers(task.grid.cells, size=(1, 2))).expand(20, -1)
        rows = torch.from_numpy(rng.integers(20, size=n)).to(setting.device)
        cells = torch.from_numpy(rng.integers(task.grid.cells, size=n)).to(setting.device)
        key = image_name(task.avp.network, task)
        with torch.inference_mode():
            prepared = prepare(avp, images, prefix.to(setting.device))
            with FlopCounterMode(display=False) as counter:
                prepared.log_posterior(rows, cells)
            each = counter.get_total_flops() / 2 / n
            ask = partial(prepared.log_posterior, rows, cells)
            for name, enabled in (("float32", False), ("bfloat16", True)):
                kind = torch.device(setting.device).type
                with torch.autocast(kind, torch.bfloat16, enabled=enabled):
                    seconds = timed(ask, setting.device, 5)
                found[f"{key} {name}"] = {"per_second": n / seconds, "multiply_adds": each}
        print(key, {k: v for k, v in found.items() if k.startswith(key)}, flush=True)
    return found


def avp_training(setting: Setting) -> dict[str, Any]:
    """Images a second that train each AVP, and posteriors within searches."""
    found = {}
    for name in ("celeba-10k-male", "cluttered-digits", "celeba-hq-male")[: setting.of(3, 0)]:
        task = get_task(name)
        posterior, trained = network(task, setting.device)
        found[image_name(task.avp.network, task)] = {"posteriors": posterior, "training": trained}
    return found


def stylegan(setting: Setting) -> dict[str, Any]:
    """Images of 256 x 256 a second."""
    channels, batch = (STYLEGAN_256, 16) if not setting.small else ((16, 16, 8), 2)
    made = StyleGanNetwork(channels, 512).eval().to(setting.device)
    w = torch.rand(batch, 2 * len(channels), 512, device=setting.device)
    layers = [torch.rand(batch, 1, s, s, device=setting.device) for s in made.noise_sizes]
    with torch.inference_mode():
        return {"per_second": batch / timed(lambda: made.synthesise(w, layers), setting.device)}


def proposal(setting: Setting) -> dict[str, Any]:
    """Seconds that a glimpse takes to be compared with a bank of latents on the device."""
    task, rng = get_task("celeba-hq-male"), np.random.default_rng(0)
    settings, copies = task.annotation, setting.of(1_500_000, 500)
    pixels = task.channels * task.image_size**2
    basis = rng.standard_normal((settings.components, pixels), np.float32) / 300
    block = rng.standard_normal((min(copies, 50_000), settings.components), np.float32)
    latents = np.tile(block.astype(np.float16), (-(-copies // len(block)), 1))[:copies]
    zero = np.zeros((), np.float32)
    pca = Pca(np.full(pixels, 0.5, np.float32), basis, latents, zero, zero)
    made = Proposal(pca, task.grid, settings.proposal_shifts, (False, True), setting.device)
    evidence = ScheduledEvidence(copies * 2, settings.sigma, setting.device)
    for cell in range(1, 6):  # what depends on the cell alone is kept
        for mirrored in made.reversals:
            made._directions(cell, mirrored)
    cells = iter(range(1, 6))
    seconds = timed(lambda: made.observe(block[0], next(cells), evidence), setting.device)
    moves = len(settings.proposal_shifts) ** 2 * 2
    return {"bank": copies, "seconds": seconds, "compared_per_second": copies * moves / seconds}


def sequences(setting: Setting) -> dict[str, Any]:
    """Seconds an image of annotation at CelebA-HQ's setting, a bank in memory; 600 extrapolated."""
    base = get_task("celeba-hq-male" if not setting.small else "cluttered-digits")
    task = replace(base, avp=replace(base.avp, network=TOKENS)) if not setting.small else base
    settings = replace(task.annotation, components=0, samples=setting.of(200, 20), first_samples=40)
    task = replace(task, annotation=replace(settings, search="racing"))
    bank = noise(task, setting.of(2_000, 60))
    avp = Avp(task).to(setting.device).freeze()
    retrieval = Retrieval(bank, task.grid, task.annotation, device=setting.device)
    found = {}
    images = noise(task, setting.of(4, 1)).images
    for precision in ("float32", "bfloat16"):
        annotator = Annotator(task, avp, retrieval, 0, setting.device, precision)
        first = annotator.first_step()
        start = time.perf_counter()
        annotator.annotate(images, range(len(images)), first)
        seconds = (time.perf_counter() - start) / len(images)
        found[precision] = {"seconds_an_image": seconds, "minutes_for_600": seconds * 10}
    return found | {"bank": len(bank), "images": len(images)}


PARTS: dict[str, Part] = {
    "agreement": agreement,
    "products": products,
    "training": training,
    "posteriors": posteriors,
    "stylegan": stylegan,
    "proposal": proposal,
    "sequences": sequences,
    "avp_training": avp_training,
}


def as_rates(found: dict[str, Any], hardware: str, device: str) -> dict[str, Any]:
    """What of it `nogs-bench build --plan --rates` reads."""
    rates = Rates(hardware, "cpu" if device == "cpu" else "gpu", searches=read_rates().searches)
    for key, value in found.get("posteriors", {}).items():
        name, _, precision = key.rpartition(" ")
        if precision == "float32":
            rates.posteriors[name] = value["per_second"]
    for name, value in found.get("avp_training", {}).items():
        rates.training[name] = value["training"]
        rates.posteriors[name] = value["posteriors"]  # of a quick network, searches included
    if "stylegan" in found:
        rates.generators["stylegan"] = found["stylegan"]["per_second"]
    compared = found.get("proposal", {}).get("compared_per_second")
    product = found.get("products", {}).get("float32")
    return asdict(replace(rates, proposal=compared, multiply_adds=product))


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--out", type=Path, default=Path("gpu.json"), help="file to write")
    arguments.add_argument("--parts", default=",".join(PARTS), help="which of: %(default)s")
    arguments.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    arguments.add_argument("--small", action="store_true", help="tiny sizes, for the tests")
    arguments.add_argument("--failed", default="", help=argparse.SUPPRESS)  # by earlier processes
    given = arguments.parse_args()
    if unknown := set(given.parts.split(",")) - set(PARTS):
        arguments.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.device != "cpu" and not torch.cuda.is_available():
        arguments.error(f"--device {given.device}: no GPU here; give --device cpu --small")
    setting = Setting(given.device, given.small)
    hardware = "cpu" if given.device == "cpu" else torch.cuda.get_device_name()
    whole = json.loads(given.out.read_text()) if given.out.exists() else {}
    found = whole.get("measured", {})
    failed = [name for name in given.failed.split(",") if name]
    for name in given.parts.split(","):
        if name in found:
            continue
        start = time.perf_counter()
        try:
            found[name] = PARTS[name](setting)
        except Exception as error:
            print(f"{name} failed: {error!r}", flush=True)
            failed.append(name)
            # A GPU may answer nothing more in this process: the other parts have another.
            parts = given.parts.split(",")
            rest = ",".join(parts[parts.index(name) + 1 :])
            if not rest:
                break
            flags = ["--small"] * given.small + ["--device", given.device, "--out", given.out]
            flags += ["--failed", ",".join(failed)]
            sys.stdout.flush()
            again = [sys.executable, __file__, "--parts", rest, *map(str, flags)]
            os.execv(sys.executable, again)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        rates = as_rates(found, hardware, given.device)
        text = json.dumps(rates | {"measured": found | {"torch": torch.__version__}}, indent=1)
        with replacing(given.out) as temporary:
            temporary.write_text(text + "\n")
    if given.out.exists():
        print(given.out.read_text())
        print(json.dumps(json.loads(given.out.read_text())))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the same command tries them again")


if __name__ == "__main__":
    main()
