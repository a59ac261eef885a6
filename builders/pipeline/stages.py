"""The stages before the sequences: what each depends on, and the file it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import load_file
from torch import Tensor

from nogs_bench.builders.bank import bring_bank, open_bank
from nogs_bench.builders.completion import (
    COMPLETIONS,
    PIECE_PIXELS,
    Completion,
    Here,
    Passes,
    Spread,
)
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.pipeline.posteriors import POSTERIORS
from nogs_bench.builders.posterior import Avp, EmbeddedBank, Posterior, embedded_bytes
from nogs_bench.builders.search import WAYS, Annotator, Found, Work
from nogs_bench.errors import NogsError
from nogs_bench.executors import Executor
from nogs_bench.files import Provenance, map_arrays
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import Task


def glimpses_kept(task: Task, avp: Avp, copies: int, images: int) -> int:
    """Bytes of a bank's glimpses that a build of so many images keeps, embedded, while it is at
    work; 0 where it keeps none. `copies`: how many images there are to draw."""
    settings = task.annotation
    if WAYS[settings.observed].pasted:  # then completions show pixels that no bank holds
        return 0
    return embedded_bytes(avp, copies, images * (task.T - 1) * settings.samples)


@dataclass(frozen=True)
class Stages:
    """The files of a build's finished stages; picklable.

    `files` and `records` (what made each file) are keyed by stage: "generated-bank" where a
    generator made the bank, "bank", what the completion calls its file ("pca"), if it has one, the
    steps of the posterior in their order ("teacher", "round-0", "chosen-1", "round-1", ...,
    "posterior"), "first-step", and "sequences", which is the folder of shards.
    """

    plan: BuildPlan
    files: dict[str, Path]
    records: dict[str, dict[str, Any]]

    def add(
        self,
        name: str,
        config: dict[str, Any],
        parents: tuple[str, ...],
        make: Callable[[Path], None] | None,
        kind: str | None = None,
    ) -> None:
        """A further stage, made by `make` unless its file is there; None: others make its folder.

        - `config`: what it depends on, beside the seed and the stages `parents`.
        - `kind`: what its file is called; None: like the stage.
        """
        plan = self.plan
        keys = {parent: self.records[parent]["key"] for parent in parents}
        provenance = Provenance(kind or name, config | plan.exactness, plan.seed, keys)
        self.records[name] = provenance.record()
        work = plan.workspace
        self.files[name] = (
            work.stage(provenance, ".safetensors", make) if make else work.path(provenance, "")
        )

    def share(self, name: str, stage_of: Stages) -> None:
        """Take over a stage of another fold."""
        self.files[name], self.records[name] = stage_of.files[name], stage_of.records[name]

    def load(self) -> Work:
        """What annotates: the annotator, the images to annotate, the shared first step."""
        annotator = self.annotator(keeping=True)
        first, bank = load_file(self.files["first-step"]), map_arrays(self.files["bank"])
        found = [Found(int(c), e) for c, e in zip(first["cell"], first["epe"], strict=True)]
        return Work(annotator, bank["annotated_images"], bank["annotated_numbers"], found)

    def _bring(self) -> None:
        """Copy what this machine lacks from the store."""
        mirror = self.plan.mirror
        for name, path in self.files.items():
            if name == "generated-bank":
                bring_bank(path, mirror)
            elif name != "sequences" and not path.exists() and not mirror.pull(path):
                raise NogsError(
                    f"a worker finds no {path}: give a folder that all machines share, or --store"
                )

    def bank_images(self) -> np.ndarray:
        """The bank's images, for who makes its stages' files."""
        self._bring()
        return self._images("bank").images

    def passes(self, images: np.ndarray, executor: Executor, folder: Path) -> Passes:
        """Over the bank's `images`: by the executor's workers, if there are enough of them."""
        if len(images) * images[0].size <= PIECE_PIXELS:
            return Here(images)
        return Spread(self.bank_images, executor, folder, self.plan.mirror)

    def posterior(self, task: Task | None = None, file: Path | None = None) -> Posterior:
        """The family's posterior, for the build's first task or another one of its tasks; of an
        earlier round, if `file` is that one's."""
        plan = self.plan
        kind = POSTERIORS[plan.posterior]
        return kind.load(file or self.files["posterior"], task or plan.task, plan.device)

    def network(self) -> Mapping[str, Tensor] | None:
        """The weights of the family's posterior, if it is a network."""
        kind: Any = POSTERIORS[self.plan.posterior]
        weights: Any = getattr(kind, "weights", None)
        return None if weights is None else weights(self.files["posterior"])

    def annotator(self, posterior: Path | None = None, keeping: bool = False) -> Annotator:
        """What annotates, with the build's posterior or that of another file.

        `keeping`: where it pays, the build's keeps the bank's glimpses, embedded, in a folder.
        """
        self._bring()
        plan, task = self.plan, self.plan.task
        kind = COMPLETIONS[task.annotation.completion]
        fitted = self.files.get(kind.stage)
        bank = self._images("bank")
        completion = kind.open(fitted, task, bank, plan.device)
        network = self.posterior(file=posterior)
        embedded = None
        if keeping and self._embeds(network, completion):
            embedded = EmbeddedBank(cast(Avp, network), bank.images, self.embedded)
        return Annotator(
            task,
            network,
            completion,
            plan.seed,
            plan.device,
            plan.precision,
            plan.targets,
            embedded,
        )

    @property
    def embedded(self) -> Path:
        """The folder of the bank's glimpses, embedded: for as long as the build is at work."""
        keys = {name: self.records[name]["key"] for name in ("bank", "posterior")}
        return self.plan.workspace.path(Provenance("embedded", {}, self.plan.seed, keys), "")

    @property
    def keeps_glimpses(self) -> bool:
        """Whether the bank's glimpses are embedded once for all images."""
        plan = self.plan
        pasted = WAYS[plan.task.annotation.observed].pasted
        if plan.device != "cpu" or pasted or self.network() is None:
            return False  # without opening what completes images
        return self.annotator(keeping=True).embedded is not None

    def _embeds(self, posterior: Posterior, completion: Completion) -> bool:
        # Of classes of a user's own, only what they say themselves is taken for true.
        copies = vars(type(completion)).get("draws_copies", False)
        if type(posterior) is not Avp or not copies:
            return False
        plan = self.plan
        images = plan.count // plan.fold.count
        return glimpses_kept(plan.task, posterior, int(completion.support), images) > 0

    def _images(self, role: str) -> LabelledImages:
        if f"generated-{role}" in self.files:
            return open_bank(self.files[f"generated-{role}"])
        stored = map_arrays(self.files["bank"])
        return LabelledImages(stored[f"{role}_images"], stored[f"{role}_labels"])
