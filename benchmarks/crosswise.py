"""What two posteriors that choose together, or judge each other, are worth.

    python benchmarks/crosswise.py [TASK] [--seeds 100,101,102] [--images 250] [--data DIR]
        [--samples 800] [--search rematch] [--epochs N] [--keep DIR]

Three posteriors, A, B and C, learn from images apart from each other's. Images of the `--split`,
which none of them sees, get sequences over A's bank, from one first glimpse, by the task's own
criterion of

- `alone`: A;
- `mean`: the mean of A's and B's EPEs;
- `mixture`: the mean of their probabilities;
- `penalty W`: the mean, and W times how far the two disagree, which is the mean entropy of the
  mixture less that of the two (Jensen-Shannon divergence, nats).

For each t, means over images: the EPE as searched, the true label's cross-entropy by A, by B and by
C, which chose nothing, and the paired difference to `alone` by C with its standard error. For
`alone` also the EPE of the chosen cells by B, over the same bank: what the one that did not choose
says they are worth. Prints a table and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench import __version__
from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.completion import Retrieval
from nogs_bench.builders.posterior import Avp, along_each, prepare, train_avp
from nogs_bench.builders.search import CRITERIA, Annotator, Found, standard_error
from nogs_bench.executors import single_thread
from nogs_bench.files import digest_json, load_checkpoint, save_checkpoint
from nogs_bench.tasks import Task, get_task, load_split

ANNOTATED, SHARD, NUMBERS, DRAWS = 600, 50, 10_000_000, 300
PENALTIES = (0.5, 1.0)


@dataclass(frozen=True)
class Both:
    """Two posteriors, whose log-probabilities stand one after the other; a `Posterior`."""

    posteriors: tuple[Any, Any]

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        return torch.cat([one.log_posterior(images, cells) for one in self.posteriors], dim=-1)

    def prepare(self, images: Tensor, prefix: Tensor, observed: Tensor | None = None) -> Both:
        made = [prepare(one, images, prefix, observed) for one in self.posteriors]
        return Both((_Pairs(made[0]), _Pairs(made[1])))


@dataclass(frozen=True)
class _Pairs:
    prepared: Any

    def log_posterior(self, rows: Tensor, cells: Tensor) -> Tensor:
        log: Tensor = self.prepared.log_posterior(rows, cells)
        return log


def halves(log: Tensor) -> tuple[Tensor, Tensor]:
    first, second = log.chunk(2, dim=-1)
    return first, second


def mean(own: Any, log: Tensor, labels: Tensor) -> Tensor:
    first, second = halves(log)
    return (own(first, labels) + own(second, labels)) / 2


def mixed(log: Tensor) -> Tensor:
    return torch.logaddexp(*halves(log)) - float(np.log(2))


def mixture(own: Any, log: Tensor, labels: Tensor) -> Tensor:
    nats: Tensor = own(mixed(log), labels)
    return nats


def entropy(log: Tensor) -> Tensor:
    return torch.special.entr(log.exp()).sum(-1)


def penalty(own: Any, weight: float, log: Tensor, labels: Tensor) -> Tensor:
    first, second = halves(log)
    apart = entropy(mixed(log)) - (entropy(first) + entropy(second)) / 2
    return mean(own, log, labels) + weight * apart


def trained(task: Task, seed: int, folder: Path, data: Path | None) -> tuple[Any, Any]:
    """A posterior and its roles."""
    roles = assign_roles(task, ANNOTATED, seed, data)
    made_by = digest_json([__version__, asdict(task.avp), roles.record, roles.avp(0).digest()])
    path = folder / f"{task.name}-{seed}-{made_by[:16]}.safetensors"
    if not path.exists():
        save_checkpoint(path, train_avp(task, roles, seed, path.with_suffix(".unfinished"), "cpu"))
    avp = Avp(task)
    avp.load_state_dict(load_checkpoint(path)["weights"])
    return avp.freeze(), roles


def judged(posterior: Any, bank: Any, task: Task, images: np.ndarray, cells: np.ndarray) -> Any:
    """float64 (n, T - 1), nats: the EPE of taken cells by a posterior, from t = 2 on."""
    retrieval, rng = Retrieval(bank, task.grid, task.annotation), np.random.default_rng(5)
    own, found = CRITERIA[task.annotation.criterion], np.empty((len(images), task.T - 1))
    for row, image in enumerate(images):
        query = retrieval.query(image)
        for t in range(1, task.T):
            query.observe(int(cells[row, t - 1]))
            drawn = query.draw(DRAWS, rng)
            taken = torch.from_numpy(np.repeat(cells[row : row + 1, : t + 1], DRAWS, 0))
            log = posterior.log_posterior(torch.from_numpy(drawn.images), taken)
            found[row, t - 1] = own(
                log[None], torch.from_numpy(drawn.labels[:, task.target])
            ).mean()
    return found


def text(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


@torch.inference_mode()
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("task", nargs="?", default="cluttered-digits")
    arguments.add_argument("--seeds", default="100,101,102")
    arguments.add_argument("--images", type=int, default=250)
    arguments.add_argument("--split", default="validation")
    arguments.add_argument("--samples", type=int, default=0)
    arguments.add_argument("--search", default="")
    arguments.add_argument("--epochs", type=int, default=0)
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--keep", type=Path, help="folder of posteriors, kept and used again")
    given = arguments.parse_args()
    single_thread("cpu")
    task = get_task(given.task)
    settings = task.annotation
    settings = replace(
        settings,
        samples=given.samples or settings.samples,
        search=given.search or settings.search,
    )
    avp = replace(task.avp, epochs=given.epochs or task.avp.epochs, rounds=0)
    task = replace(task, annotation=settings, avp=avp)
    spare = tempfile.TemporaryDirectory(prefix="nogs-crosswise-")
    folder = given.keep or Path(spare.name)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    with torch.inference_mode(False):
        (a, roles), (b, _), (c, _) = (trained(task, s, folder, given.data) for s in seeds)
    own = CRITERIA[settings.criterion]
    ways: dict[str, tuple[Any, Any]] = {
        "alone": (a, own),
        "mean": (Both((a, b)), partial(mean, own)),
        "mixture": (Both((a, b)), partial(mixture, own)),
    }
    for weight in PENALTIES:
        ways[f"penalty {weight}"] = Both((a, b)), partial(penalty, own, weight)
    part = load_split(task, given.split, given.data)[: given.images]
    labels, numbers = part.labels[:, task.target], NUMBERS + np.arange(len(part))
    retrieval = Retrieval(roles.bank, task.grid, settings)
    begun, first, base, rows = time.time(), list[Found](), np.empty(0), []
    for name, (posterior, criterion) in ways.items():
        annotator = Annotator(task, posterior, retrieval, seeds[0] + 1)
        annotator.evaluator = replace(annotator.evaluator, criterion=criterion)
        first = first or annotator.first_step()
        begin = time.process_time()
        made = [
            annotator.annotate(part.images[at], numbers[at].tolist(), first)
            for at in (slice(s, s + SHARD) for s in range(0, len(part), SHARD))
        ]
        seconds = (time.process_time() - begin) / len(part)
        cells = np.concatenate([one.cells[:, 0] for one in made])
        searched = np.concatenate([one.epe[:, 0] for one in made])
        true = {
            judge: along_each(one, part.images, labels, cells)["cross_entropy"].numpy()
            for judge, one in (("a", a), ("b", b), ("c", c))
        }
        base = base if len(base) else true["c"]
        apart = true["c"] - base
        row: dict[str, Any] = {"way": name, "searched": searched.mean(0).tolist()}
        row |= {f"true_{judge}": values.mean(0).tolist() for judge, values in true.items()}
        row |= {"difference": apart.mean(0).tolist(), "cpu_seconds": seconds}
        row["error"] = standard_error(apart).tolist()
        if name == "alone":
            row["judged_a"], row["judged_b"] = (
                judged(one, roles.bank, task, part.images, cells).mean(0).tolist() for one in (a, b)
            )
        rows.append(row)
        for key, values in row.items():
            if isinstance(values, list):
                print(f"{name:12} {key:10} {text(np.array(values))}")
        print(f"{name:12} {seconds:.2f} CPU s an image [{time.time() - begun:.0f} s]", flush=True)
    print(json.dumps({"task": task.name, "images": len(part), "rows": rows}))


if __name__ == "__main__":
    main()
