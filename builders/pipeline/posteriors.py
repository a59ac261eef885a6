"""Where a build's posterior comes from: a trained AVP, or the labelled images themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import Tensor

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.pipeline.chosen import choose, load_chosen
from nogs_bench.builders.posterior import (
    Avp,
    BankPosterior,
    Posterior,
    fit_bank_sigma,
    keyed,
    network_code,
    train_avp,
)
from nogs_bench.builders.search import Annotator
from nogs_bench.errors import NogsError
from nogs_bench.executors import Executor
from nogs_bench.files import Mirror, load_checkpoint, save_checkpoint
from nogs_bench.images import LabelledImages
from nogs_bench.registry import Registry
from nogs_bench.tasks import AvpTraining, Task

NOTHING_CHOSEN: dict[str, Any] = {
    name: getattr(AvpTraining, name) for name in ("chosen_images", "chosen_share")
}
BANK_POSTERIOR_IMAGES = 4000
BANK_POSTERIOR_HELD = 500


@dataclass(frozen=True)
class Context:
    """What a step of making a posterior may use.

    - `files`: of the steps made before, by name.
    - `annotator`: makes the build's annotator with the posterior of another file; picklable.
    - `executor`: does long work in shards.
    - `folder`: of unfinished work of this step, the same in every attempt; `mirror`: where it is
      kept too.
    """

    roles: Roles
    seed: int
    device: str
    files: Mapping[str, Path]
    annotator: Callable[[Path], Annotator]
    folder: Path
    executor: Executor
    mirror: Mirror


@dataclass(frozen=True)
class Step:
    """A file on the way to a posterior, or the posterior's own.

    - `name`: within the build; `stage`: what its file is called.
    - `task`: with the settings that the step depends on in its `avp`.
    - `parents`: names of the steps that it is made from.
    - `make`: writes the file.
    - `annotates`: whether it depends on the bank and the completion too.
    """

    name: str
    stage: str
    task: Task
    parents: tuple[str, ...]
    make: Callable[[Path, Context], None]
    annotates: bool = False


class PosteriorKind(Protocol):
    """A way to come by a posterior: made once as a file, then loaded by every worker.

    One that is a network of `Avp` may have `weights(path)`, its state dict, to go with datasets.
    """

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        """Every setting that the file depends on, as plain JSON values."""
        ...

    def steps(self, task: Task) -> list[Step]:
        """What is made, in order; the last one's name is "posterior"."""
        ...

    def load(self, path: Path, task: Task, device: str) -> Posterior:
        """The posterior that the last step made."""
        ...


POSTERIORS: Registry[PosteriorKind] = Registry("posterior", group="nogs_bench.posteriors")


class TrainedAvp:
    """The attentional variational posterior of the task's family.

    A teacher comes first, if the task wants one. In every round but the last, sequences are chosen
    with the AVP so far, and the next one is trained on them too, from the start.
    """

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        avp = asdict(task.avp)
        return {
            "avp": avp | {name: keyed(avp[name]) for name in ("network", "teacher")},
            **network_code(task.avp.network, task.avp.teacher),
            "labels": [asdict(label) for label in task.labels],
            "grid": asdict(task.grid),
            "T": task.T,
            "threads": threads,
            "device": device,
        }

    def steps(self, task: Task) -> list[Step]:
        alone = replace(task, avp=replace(task.avp, teacher="", rounds=0))
        steps, parents = [], {}
        if task.avp.teacher:
            taught = replace(alone, avp=replace(alone.avp, network=task.avp.teacher))
            steps.append(self._training("teacher", taught, {}))
            parents["teacher"] = "teacher"
        single = replace(task, avp=replace(task.avp, rounds=0))
        # The first is what it would be without further rounds.
        training = replace(single, avp=replace(single.avp, **NOTHING_CHOSEN))
        for number in range(task.avp.rounds):
            earlier, name = f"round-{number}", f"chosen-{number + 1}"
            steps.append(self._training(earlier, training, parents))
            training = single
            steps.append(self._choosing(name, single, earlier))
            parents = parents | {"chosen": name}
        return [*steps, self._training("posterior", task, parents)]

    def _training(self, name: str, task: Task, parents: Mapping[str, str]) -> Step:
        def make(path: Path, context: Context) -> None:
            files = {role: context.files[parent] for role, parent in parents.items()}
            self.make(path, task, context.roles, context.seed, context.device, files)

        return Step(name, "avp", task, tuple(parents.values()), make)

    def _choosing(self, name: str, task: Task, posterior: str) -> Step:
        def make(path: Path, context: Context) -> None:
            images = context.roles.avp(0)[slice(task.avp.chosen_images)]
            file = context.files[posterior]
            folder, executor, mirror = context.folder, context.executor, context.mirror
            choose(context.annotator, file, images, path, folder, executor, mirror)

        return Step(name, "chosen", task, (posterior,), make, annotates=True)

    def make(
        self,
        path: Path,
        task: Task,
        roles: Roles,
        seed: int,
        device: str,
        parents: Mapping[str, Path] | None = None,
    ) -> None:
        """Train one and write it to `path`; `parents`: files of the "teacher" and of "chosen"."""
        check_images(task, len(roles.avp(0)))
        files, teacher, chosen = parents or {}, None, None
        if "teacher" in files:
            taught = replace(task, avp=replace(task.avp, network=task.avp.teacher))
            teacher = self.load(files["teacher"], taught, device)
        if "chosen" in files:
            chosen = load_chosen(files["chosen"])
        checkpoint = self.checkpoint(path)
        save_checkpoint(path, train_avp(task, roles, seed, checkpoint, device, teacher, chosen))

    def checkpoint(self, path: Path) -> Path:
        """Where the training of a temporary `path` goes on: every attempt has another path.

        The stage removes it when the file is in its place.
        """
        return path.with_name(f".{path.name.split('.')[1]}.checkpoint.safetensors")

    def weights(self, path: Path) -> Mapping[str, Tensor]:
        """The network's state dict, which goes into the dataset."""
        weights: Mapping[str, Tensor] = load_checkpoint(path)["weights"]
        return weights

    def load(self, path: Path, task: Task, device: str) -> Avp:
        avp = Avp(task)
        avp.load_state_dict(load_checkpoint(path)["weights"])
        return avp.to(device).freeze()


def check_images(task: Task, found: int) -> None:
    """Raise `NogsError` if `found` images are not enough to train the task's AVP."""
    needed = task.avp.batch_size
    if found < needed:
        raise NogsError(
            f"{found} images are left to train the AVP of {task.name}, fewer than a batch of "
            f"{needed}; give it more images, a smaller bank (--bank-images) or smaller batches"
        )


class FittedBank:
    """A labelled bank's own posterior, with images that would otherwise train the AVP."""

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        return {"images": BANK_POSTERIOR_IMAGES, "grid": asdict(task.grid), "T": task.T}

    def steps(self, task: Task) -> list[Step]:
        return [Step("posterior", "bank-posterior", task, (), partial(self.make, task=task))]

    def make(self, path: Path, context: Context, task: Task) -> None:
        """Fit it and write it to `path`."""
        roles = context.roles
        bank = roles.avp(0)[slice(BANK_POSTERIOR_IMAGES)]
        held = roles.avp_validation[slice(BANK_POSTERIOR_HELD)]
        classes = [len(label.classes) for label in task.labels]
        sigma = np.array([fit_bank_sigma(bank, held, task.grid, classes, task.T)])
        save_file({"images": bank.images, "labels": bank.labels, "sigma": sigma}, path)

    def load(self, path: Path, task: Task, device: str) -> Posterior:
        stored = load_file(path)
        bank = LabelledImages(stored["images"], stored["labels"])
        sigma = float(stored["sigma"][0])
        return BankPosterior(bank, task.grid, len(task.classes), task.target, sigma, device)


POSTERIORS.add("avp", TrainedAvp())
POSTERIORS.add("bank", FittedBank())
