"""What each criterion is worth along the sequences that it builds: what is said, claimed and true.

    python benchmarks/pairs.py [TASK] [--seeds 0,1,2] [--images 600] [--rounds 0,1] [--workers N]
        [--pairs cross-entropy:sample:50,entropy:sample:200,...] [--data DIR]

For every seed, bank and posterior are made of images apart from the others'; with `rounds` the
posterior is trained again, so many times, with sequences that it chose (`AvpTraining.rounds`).
Images of the `--split` (default validation, which no posterior, bank or score sees) then get
sequences by each pair CRITERION:OBSERVED:EFFECTIVE-SAMPLES[:SAMPLES], all from the same first
glimpse. For each t, means over images: the EPE as it was searched (stated), the entropy that the
posterior claims after it, and the true label's cross-entropy, with the paired difference to the
first pair and its standard error. Prints a table and last one line of JSON. `--epochs` shortens the
training for comparisons.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench import __version__
from nogs_bench.builders.bank import Roles, assign_roles
from nogs_bench.builders.completion import Retrieval
from nogs_bench.builders.posterior import Avp, along_each, train_avp
from nogs_bench.builders.search import Annotator, standard_error
from nogs_bench.executors import single_thread
from nogs_bench.files import digest_json, load_checkpoint, save_checkpoint
from nogs_bench.tasks import Task, get_task

PAIRS = (
    "cross-entropy:sample:50",
    "cross-entropy:pasted:200",
    "entropy:sample:200",
    "entropy:pasted:200",
)
SHARD = 50
NUMBERS = 10_000_000


@dataclass(frozen=True)
class Setting:
    """Arguments that all jobs share; picklable."""

    task: str
    data: Path | None
    split: str
    images: int
    search: str
    samples: int
    epochs: int
    chosen_pair: str
    chosen_images: int
    chosen_share: float
    device: str
    folder: Path

    def made(self) -> Task:
        task = get_task(self.task)
        avp = replace(task.avp, epochs=self.epochs or task.avp.epochs)
        return replace(task, avp=replace(avp, chosen_share=self.chosen_share))

    def of(self, pair: str, chosen: bool = False) -> Task:
        criterion, observed, effective, *samples = pair.split(":")
        task = self.made()
        settings = replace(
            task.annotation,
            criterion=criterion,
            observed=observed,
            effective_samples=float(effective),
            search="halving" if chosen else self.search,
            samples=400 if chosen else int(samples[0]) if samples else self.samples,
            first_samples=4000 if chosen else 10**6,
        )
        return replace(task, annotation=settings)

    def file(self, name: str) -> Path:
        chosen = (self.chosen_pair, self.chosen_images, self.chosen_share)
        made_by = digest_json([__version__, asdict(self.made().avp), str(self.data), chosen])
        return self.folder / f"{self.task}-{name}-{made_by[:16]}.safetensors"


def roles_of(setting: Setting, seed: int) -> Roles:
    return assign_roles(setting.made(), 600, seed, setting.data)


def annotator(setting: Setting, task: Task, roles: Roles, name: str, seed: int) -> Annotator:
    avp = Avp(task)
    avp.load_state_dict(load_checkpoint(setting.file(name))["weights"])
    return Annotator(task, avp.freeze(), Retrieval(roles.bank, task.grid, task.annotation), seed)


def train(setting: Setting, seed: int, name: str, chosen: np.ndarray | None) -> float:
    """Train the posterior `name`, unless there is one; CPU seconds."""
    single_thread("cpu")
    path, task = setting.file(name), setting.made()
    start = time.process_time()
    if not path.exists():
        roles = roles_of(setting, seed)
        checkpoint = path.with_suffix(".unfinished")
        save_checkpoint(
            path, train_avp(task, roles, seed, checkpoint, setting.device, None, chosen)
        )
    return time.process_time() - start


def first(setting: Setting, seed: int, name: str, pair: str, chosen: bool) -> Any:
    """The first glimpse."""
    single_thread("cpu")
    task = setting.of(pair, chosen)
    return annotator(setting, task, roles_of(setting, seed), name, seed).first_step()


def sequences(
    setting: Setting, seed: int, name: str, pair: str, found: Any, start: int, chosen: bool
) -> dict[str, np.ndarray]:
    """Sequences of some images, and what the posterior says along them."""
    single_thread("cpu")
    task, roles = setting.of(pair, chosen), roles_of(setting, seed)
    rows = slice(start, start + SHARD)
    part = roles.avp(0)[rows] if chosen else task.source.load(setting.split, setting.data)[rows]
    one = annotator(setting, task, roles, name, seed + 1)
    begin = time.process_time()
    numbers = NUMBERS + start + np.arange(len(part))
    made = one.annotate(part.images, numbers.tolist(), found)
    seconds = (time.process_time() - begin) / len(part)
    cells = made.cells[:, 0]
    result = {"cells": cells, "seconds": np.full(len(part), seconds)}
    if not chosen:
        labels = part.labels[:, task.target]
        each = along_each(one.posterior, part.images, labels, cells)
        result |= {key: values.numpy() for key, values in each.items()}
        result |= {"stated": made.epe[:, 0], "evaluations": made.evaluations}
    return result


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def text(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("task", nargs="?", default="cluttered-digits")
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--images", type=int, default=600)
    arguments.add_argument("--split", default="validation")
    arguments.add_argument("--rounds", default="0,1")
    arguments.add_argument("--pairs", default=",".join(PAIRS))
    arguments.add_argument("--chosen-pair", default="cross-entropy:sample:50")
    arguments.add_argument("--chosen-images", type=int, default=1500)
    arguments.add_argument("--chosen-share", type=float, default=0.5)
    arguments.add_argument("--search", default="rematch")
    arguments.add_argument("--samples", type=int, default=1000)
    arguments.add_argument("--epochs", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--device", default="cpu", help="trains the posteriors")
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--keep", type=Path, help="folder of posteriors, kept and used again")
    given = arguments.parse_args()
    spare = tempfile.TemporaryDirectory(prefix="nogs-pairs-")
    folder = given.keep or Path(spare.name)
    folder.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        task=given.task,
        data=given.data,
        split=given.split,
        images=given.images,
        search=given.search,
        samples=given.samples,
        epochs=given.epochs,
        chosen_pair=given.chosen_pair,
        chosen_images=given.chosen_images,
        chosen_share=given.chosen_share,
        device=given.device,
        folder=folder,
    )
    seeds = [int(seed) for seed in given.seeds.split(",")]
    wanted = [int(count) for count in given.rounds.split(",")]
    pairs = given.pairs.split(",")
    output: list[dict[str, Any]] = []
    begin = time.time()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        chosen: dict[int, np.ndarray | None] = {seed: None for seed in seeds}
        for number in range(max(wanted) + 1):
            names = {seed: f"{seed}-{number}" for seed in seeds}
            trained = [pool.submit(train, setting, s, names[s], chosen[s]) for s in seeds]
            spent = [future.result() for future in trained]
            print(f"round {number}: trained in {text(np.array(spent))} CPU s", flush=True)
            jobs = {}
            tried = pairs if number in wanted else []
            starts = range(0, setting.images, SHARD)
            firsts = {
                s: pool.submit(first, setting, s, names[s], pairs[0], chosen=False)
                for s in (seeds if tried else [])
            }
            if number < max(wanted):
                pair = given.chosen_pair
                cheap = {s: pool.submit(first, setting, s, names[s], pair, True) for s in seeds}
                some = range(0, setting.chosen_images, SHARD)
                more = {
                    s: [
                        pool.submit(
                            sequences, setting, s, names[s], pair, cheap[s].result(), at, True
                        )
                        for at in some
                    ]
                    for s in seeds
                }
                for s in seeds:
                    chosen[s] = joined([future.result() for future in more[s]])["cells"]
            for pair in tried:
                for s in seeds:
                    jobs[pair, s] = [
                        pool.submit(
                            sequences, setting, s, names[s], pair, firsts[s].result(), at, False
                        )
                        for at in starts
                    ]
            base: list[np.ndarray] = []
            for pair in tried:
                parts = [joined([future.result() for future in jobs[pair, s]]) for s in seeds]
                true = np.stack([part["cross_entropy"] for part in parts])
                base = base or [true]
                difference = (true - base[0]).mean(0)
                error = standard_error(difference)
                row = {
                    "rounds": number,
                    "pair": pair,
                    "first": [int(firsts[s].result()[0].cell) for s in seeds],
                    "true": true.mean((0, 1)),
                    "true_by_seed": true.mean(1),
                    "stated": np.mean([part["stated"].mean(0) for part in parts], axis=0),
                    "claimed": np.mean([part["entropy"].mean(0) for part in parts], axis=0),
                    "accuracy": np.mean([part["accuracy"].mean(0) for part in parts], axis=0),
                    "difference": difference.mean(0),
                    "standard_error": error,
                    "evaluations": np.mean([part["evaluations"].mean() for part in parts]),
                    "cpu_seconds": np.mean([part["seconds"].mean() for part in parts]),
                }
                print(
                    f"rounds {number} {pair:26} true {text(row['true'])} stated "
                    f"{text(row['stated'])} claimed {text(row['claimed'])} accuracy "
                    f"{text(row['accuracy'])} against the first {text(row['difference'])} +- "
                    f"{text(error)}; {row['cpu_seconds']:.2f} s, {row['evaluations']:.0f} "
                    f"posteriors an image, first {row['first']} [{time.time() - begin:.0f} s]",
                    flush=True,
                )
                plain = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}
                output.append(plain)
    print(json.dumps({"task": given.task, "images": given.images, "rows": output}))


if __name__ == "__main__":
    main()
