"""What the proposal costs that draws completions from a large bank, and what it loses.

    python benchmarks/proposal.py [--bank 200000] [--repeats 3] [--queries 3]

CelebA-HQ's setting: 224 x 224 colour images, 16 x 16 glimpses, 256 components, every bank image
compared as it is and mirrored, each at 9 moves. One thread. The images are crops of scikit-learn's
two photographs (random place, size and mirroring), with their own principal components; they are
made at 56 x 56 and the components enlarged, as 256 of them hold no finer detail anyway.

- *authors*: what their code does at every step: reconstruct the 20 x 20 region of each glimpse so
  far for every bank image in float32, and compare it at every move, in 10 chunks.
- *product*: `builders.completion.proposal` with float16 latents. A step takes its new glimpse;
  "from scratch" takes all glimpses again, as the first step of a query that knows them all would.

Recall is the share of the copies with the largest 1,000 log-likelihoods, written out in float64
from the float32 latents, that are among the product's largest 1,000. Memory is the peak resident
set of a process that holds the float16 latents and runs a whole sequence, above what it held before
it made them, as a multiple of the latents' size. Both are timed in turn, `--repeats` times: times
are medians, ratios are medians of the turns' own, with the least and the greatest. Prints a table
and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from nogs_bench import get_task
from nogs_bench.builders.completion import Pca, Proposal, ScheduledEvidence, fit_pca, region

TASK = get_task("celeba-hq-male")
GRID, SETTINGS = TASK.grid, TASK.annotation
SHIFTS, REVERSALS = SETTINGS.proposal_shifts, (False, True)
SMALL, ENLARGED = 56, 4
CHUNKS, BEST = 10, 1_000


def crops(count: int, seed: int) -> np.ndarray:
    """uint8 (count, 3, 56, 56): random squares of two photographs."""
    from sklearn.datasets import load_sample_image

    photos = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    rng = np.random.default_rng(seed)
    images = np.empty((count, 3, SMALL, SMALL), np.uint8)
    for image in images:
        photo = photos[rng.integers(2)]
        size = int(rng.integers(SMALL, 320))
        row, col = (rng.integers(side - size + 1) for side in photo.shape[:2])
        at = (np.arange(SMALL) * size) // SMALL
        pixels = photo[row + at][:, col + at]
        image[:] = pixels[:, :: rng.choice((-1, 1))].transpose(2, 0, 1)
    return images


def enlarged(pca: Pca) -> Pca:
    """The components at 224 x 224, orthonormal again, and latents of the enlarged images."""
    side = SMALL * ENLARGED

    def enlarge(flat: np.ndarray) -> np.ndarray:
        small = torch.from_numpy(flat.reshape(-1, 3, SMALL, SMALL))
        return interpolate(small, (side, side), mode="bilinear").flatten(1).numpy()

    rows, turn = np.linalg.qr(enlarge(pca.basis).T)
    basis = np.ascontiguousarray(rows.T)
    mean = enlarge(pca.mean[None])[0]
    return Pca(mean, basis, pca.latents @ turn.T, pca.explained, pca.rounding)


def region_columns(pca: Pca, cell: int, mirrored: bool) -> tuple[torch.Tensor, torch.Tensor, int]:
    """What the authors' scheme multiplies: basis and mean of the region of all moves."""
    where = region(GRID, cell, SHIFTS, mirrored)
    side = GRID.image_size
    parts = [where.of(a.reshape(-1, 3, side, side)) for a in (pca.basis, pca.mean[None])]
    basis, mean = (torch.from_numpy(np.ascontiguousarray(p).reshape(len(p), -1)) for p in parts)
    return basis, mean, where.height


def authors(pca: Pca, image: torch.Tensor, cells: list[int], variance: float) -> torch.Tensor:
    """Log-likelihoods (2 n,) of all copies, all glimpses anew."""
    size, halves = GRID.glimpse_size, []
    for mirrored in REVERSALS:
        wheres = [region_columns(pca, cell, mirrored) for cell in cells]
        chunks = []
        for latents in torch.from_numpy(pca.latents).chunk(CHUNKS):
            total = torch.zeros(len(latents))
            for cell, (basis, mean, height) in zip(cells, wheres, strict=True):
                seen = (mean + latents @ basis).view(len(latents), 3, height, -1)
                row, col = GRID.pixels[cell]
                target = image[:, row : row + size, col : col + size]
                summed = torch.full((len(latents),), -torch.inf)
                for down in range(0, height - size + 1, 2):
                    for across in range(0, seen.shape[3] - size + 1, 2):
                        window = seen[:, :, down : down + size, across : across + size]
                        gap = (target - window).flatten(1)
                        log = -(gap**2).sum(1) / (2 * variance)
                        summed = torch.logsumexp(torch.stack([summed, log]), 0)
                total += summed
            chunks.append(total)
        halves.append(torch.cat(chunks))
    return torch.cat(halves)


def exact(pca: Pca, image: np.ndarray, cells: list[int], variance: float) -> np.ndarray:
    """The same in float64, one chunk of copies at a time."""
    wide = {name: getattr(pca, name).astype(np.float64) for name in ("mean", "basis")}
    logs = []
    for start in range(0, len(pca.latents), 20_000):
        latents = pca.latents[start : start + 20_000].astype(np.float64)
        part = Pca(wide["mean"], wide["basis"], latents, pca.explained, pca.rounding)
        halves = authors(part, torch.from_numpy(image.astype(np.float64)), cells, variance)
        logs.append(halves.view(2, -1).numpy())
    return np.concatenate(logs, axis=1).reshape(-1)


def whole_sequence(pca: Pca, latents: np.ndarray, cells: list[int]) -> list[tuple[float, float]]:
    """Seconds of each step's new glimpse, and of its weights, for one query."""
    proposal = Proposal(pca, GRID, SHIFTS, REVERSALS)
    evidence = ScheduledEvidence(2 * len(pca.latents), SETTINGS.sigma)
    seconds = []
    for cell, sigma in zip(cells, SETTINGS.sigma, strict=True):
        start = time.perf_counter()
        proposal.observe(latents, cell, evidence)
        middle = time.perf_counter()
        evidence.log_likelihood(sigma**2)
        seconds.append((middle - start, time.perf_counter() - middle))
    return seconds


def memory(path: str) -> None:
    """In a process of its own: peak resident bytes beyond the latents, which it holds."""

    def status(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024

    torch.set_num_threads(1)
    stored = Pca.load(Path(path))
    mine = stored.latents_of(crops_at_size())
    few = replace(stored, latents=stored.latents[:64])
    whole_sequence(few, mine, list(TIMED_CELLS))  # the libraries' own buffers
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    before = status("VmRSS")
    whole_sequence(stored, mine, list(TIMED_CELLS))
    print(json.dumps({"latents": stored.latents.nbytes, "extra": status("VmHWM") - before}))


def crops_at_size() -> np.ndarray:
    """One image, uint8 (3, 224, 224), that is not in the bank."""
    small = torch.from_numpy(crops(1, seed=99)).float()
    side = SMALL * ENLARGED
    return interpolate(small, (side, side), mode="bilinear")[0].round().to(torch.uint8).numpy()


TIMED_CELLS = (1275, 622, 1790, 1104)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bank", type=int, default=200_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--queries", type=int, default=3, help="images whose recall is measured")
    arguments.add_argument("--memory", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.memory:
        memory(given.memory)
        return
    torch.set_num_threads(1)
    pca = enlarged(fit_pca(crops(given.bank, seed=0), SETTINGS.components, latents=np.float32))
    half = Pca(pca.mean, pca.basis, pca.latents.astype(np.float16), pca.explained, pca.rounding)
    image = crops_at_size()
    mine, cells = pca.latents_of(image), list(TIMED_CELLS)
    truth = torch.from_numpy(pca.reconstruct(image).reshape(image.shape))
    variance = SETTINGS.sigma[-1] ** 2

    taken: dict[str, list[float]] = {"authors": [], "every": [], "last": []}
    for _ in range(given.repeats):
        start = time.perf_counter()
        authors(pca, truth, cells, variance)
        taken["authors"].append(time.perf_counter() - start)
        run = whole_sequence(half, mine, cells)
        taken["every"].append(sum(step[0] for step in run) + run[-1][1])
        taken["last"].append(sum(run[-1]))
    baseline, every, last = (statistics.median(seconds) for seconds in taken.values())
    ratios = {
        name: sorted(a / b for a, b in zip(taken["authors"], taken[name], strict=True))
        for name in ("every", "last")
    }
    shown = {
        name: f"{statistics.median(own):7.1f} x [{own[0]:.1f}, {own[-1]:.1f}]"
        for name, own in ratios.items()
    }

    recalls = []
    for number in range(given.queries):
        rng = np.random.default_rng(number)
        query = np.roll(image, (31 * number, 17 * number), (1, 2))
        where = [int(cell) for cell in rng.integers(GRID.cells, size=len(cells))]
        evidence = ScheduledEvidence(2 * given.bank, SETTINGS.sigma)
        proposal = Proposal(half, GRID, SHIFTS, REVERSALS)
        for cell in where:
            proposal.observe(pca.latents_of(query), cell, evidence)
        found = evidence.log_likelihood(variance)
        expected = exact(pca, pca.reconstruct(query).reshape(image.shape), where, variance)
        best = np.argpartition(-expected, BEST)[:BEST]
        recalls.append(np.isin(best, np.argpartition(-found, BEST)[:BEST]).mean())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pca.safetensors")
        half.save(path)
        command = [sys.executable, __file__, "--memory", str(path)]
        held = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    print(f"bank of {given.bank:,}, {len(cells)} glimpses, one thread")
    print(f"{'authors, all glimpses anew':34} {baseline:9.2f} s")
    print(f"{'product, from scratch':34} {every:9.3f} s   {shown['every']}")
    print(f"{'product, one more glimpse':34} {last:9.3f} s   {shown['last']}")
    print(f"top-{BEST:,} recall of {given.queries} queries: {min(recalls):.4f} at the least")
    print(f"memory beyond the latents: {held['extra'] / held['latents']:.1%} of their size")
    result = {
        "bank": given.bank,
        "glimpses": len(cells),
        "authors_s": round(baseline, 3),
        "product_s": round(last, 4),
        "from_scratch_s": round(every, 4),
        "speedup": round(statistics.median(ratios["last"]), 1),
        "speedup_from_scratch": round(statistics.median(ratios["every"]), 1),
        "ratios": {name: [round(value, 1) for value in own] for name, own in ratios.items()},
        "recall": round(float(min(recalls)), 4),
        "memory_beyond_latents": round(held["extra"] / held["latents"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
