"""Where a build's posterior comes from: a trained AVP, or the labelled images themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load_file, save_file

from nogs_bench.builders.avp import Avp, train_avp
from nogs_bench.builders.oracle import BankPosterior, fit_bank_posterior
from nogs_bench.builders.posterior import Posterior
from nogs_bench.builders.roles import Roles
from nogs_bench.checkpoint import load_checkpoint, save_checkpoint
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.registry import Registry
from nogs_bench.task import Task

BANK_POSTERIOR_IMAGES = 4000
BANK_POSTERIOR_HELD = 500


class PosteriorKind(Protocol):
    """A way to come by a posterior: made once as a file, then loaded by every worker."""

    stage: str

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        """Every setting that the file depends on, as plain JSON values."""
        ...

    def make(self, path: Path, task: Task, roles: Roles, seed: int, device: str) -> None:
        """Write the file to `path`."""
        ...

    def load(self, path: Path, task: Task, device: str) -> Posterior:
        """The posterior that `make` wrote."""
        ...


POSTERIORS: Registry[PosteriorKind] = Registry("posterior", group="nogs_bench.posteriors")


class TrainedAvp:
    """The attentional variational posterior of the task's family."""

    stage = "avp"

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        return {
            "avp": asdict(task.avp),
            "labels": [asdict(label) for label in task.labels],
            "grid": asdict(task.grid),
            "T": task.T,
            "threads": threads,
            "device": device,
        }

    def make(self, path: Path, task: Task, roles: Roles, seed: int, device: str) -> None:
        found, needed = len(roles.avp(0)), task.avp.batch_size
        if found < needed:
            raise NogsError(
                f"{found} images are left to train the AVP of {task.name}, fewer than a batch of "
                f"{needed}; give it more images, a smaller bank (--bank-images) or smaller batches"
            )
        checkpoint = self.checkpoint(path)
        save_checkpoint(path, train_avp(task, roles, seed, checkpoint, device))
        checkpoint.unlink()

    def checkpoint(self, path: Path) -> Path:
        """Where the training of a temporary `path` goes on: every attempt has another path."""
        return path.with_name(f".{path.name.split('.')[1]}.checkpoint.safetensors")

    def load(self, path: Path, task: Task, device: str) -> Avp:
        avp = Avp(task)
        avp.load_state_dict(load_checkpoint(path)["weights"])
        return avp.to(device).freeze()


class FittedBank:
    """A labelled bank's own posterior, with images that would otherwise train the AVP."""

    stage = "bank-posterior"

    def config(self, task: Task, threads: int, device: str) -> Mapping[str, Any]:
        return {"images": BANK_POSTERIOR_IMAGES, "grid": asdict(task.grid), "T": task.T}

    def make(self, path: Path, task: Task, roles: Roles, seed: int, device: str) -> None:
        bank = roles.avp(0)[slice(BANK_POSTERIOR_IMAGES)]
        held = roles.avp_validation[slice(BANK_POSTERIOR_HELD)]
        fitted = fit_bank_posterior(bank, held, task.grid, len(task.classes), task.target, task.T)
        sigma = np.array([fitted.sigma])
        save_file({"images": bank.images, "labels": bank.labels, "sigma": sigma}, path)

    def load(self, path: Path, task: Task, device: str) -> Posterior:
        stored = load_file(path)
        bank = LabelledImages(stored["images"], stored["labels"])
        sigma = float(stored["sigma"][0])
        return BankPosterior(bank, task.grid, len(task.classes), task.target, sigma)


POSTERIORS.add("avp", TrainedAvp())
POSTERIORS.add("bank", FittedBank())
