"""The stages before the sequences: what each depends on, and the file it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import Tensor

from nogs_bench.builders.bank import Roles, bring_bank, open_bank
from nogs_bench.builders.completion import COMPLETIONS, PIECE_PIXELS, Fitting, Here, Passes, Spread
from nogs_bench.builders.pipeline.chosen import cheaply
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.pipeline.posteriors import POSTERIORS, Context, Step
from nogs_bench.builders.pipeline.worth import check_posteriors
from nogs_bench.builders.posterior import Posterior
from nogs_bench.builders.search import CRITERIA, SEARCHES, Annotator, Found, Work
from nogs_bench.errors import NogsError
from nogs_bench.executors import Executor
from nogs_bench.files import Provenance, map_arrays
from nogs_bench.images import LabelledImages
from nogs_bench.own_code import joint_digest
from nogs_bench.tasks import Annotation, Task


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

    def load(self) -> Work:
        """What annotates: the annotator, the images to annotate, the shared first step."""
        annotator = self.annotator()
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

    def annotator(self, posterior: Path | None = None) -> Annotator:
        """What annotates, with the build's posterior or that of another file."""
        self._bring()
        plan, task = self.plan, self.plan.task
        kind = COMPLETIONS[task.annotation.completion]
        fitted = self.files.get(kind.stage)
        completion = kind.open(fitted, task, self._images("bank"), plan.device)
        return Annotator(
            task,
            self.posterior(file=posterior),
            completion,
            plan.seed,
            plan.device,
            plan.precision,
            plan.targets,
        )

    def _images(self, role: str) -> LabelledImages:
        if f"generated-{role}" in self.files:
            return open_bank(self.files[f"generated-{role}"])
        stored = map_arrays(self.files["bank"])
        return LabelledImages(stored[f"{role}_images"], stored[f"{role}_labels"])


def unfinished(temporary: Path) -> Path:
    """Where a stage's unfinished work waits: its temporary path differs in every attempt, this
    does not."""
    return temporary.with_name(f".{temporary.name.split('.')[1]}.unfinished")


def annotation_of(settings: Annotation) -> dict[str, Any]:
    """What a search depends on, with the code of what is the user's own."""
    used = SEARCHES[settings.search], CRITERIA[settings.criterion], COMPLETIONS[settings.completion]
    return asdict(settings) | code_of(*used)


def code_of(*objects: Any) -> dict[str, str]:
    """The digest of the user's files in which objects are defined; nothing if they are this
    package's."""
    code = joint_digest("", *objects)
    return {"code": code} if code else {}


def prepare(plan: BuildPlan, roles: Roles, executor: Executor) -> Stages:
    """Make every file that the sequences need, or find it made, in the order of the data."""
    task = plan.task
    stages = Stages(plan, {}, {})

    def stage(
        name: str,
        config: dict[str, Any],
        parents: tuple[str, ...],
        make: Callable[[Path], None] | None,
        kind: str | None = None,
    ) -> None:
        keys = {parent: stages.records[parent]["key"] for parent in parents}
        provenance = Provenance(kind or name, config | plan.exactness, plan.seed, keys)
        stages.records[name] = provenance.record()
        work = plan.workspace
        stages.files[name] = (
            work.stage(provenance, ".safetensors", make) if make else work.path(provenance, "")
        )

    def write_bank(path: Path) -> None:
        parts = {"annotated": roles.annotated}
        if not roles.generated:
            parts = {"bank": roles.bank, **parts}
        arrays = {f"{name}_images": part.images for name, part in parts.items()}
        arrays |= {f"{name}_labels": part.labels for name, part in parts.items()}
        arrays["annotated_numbers"] = roles.numbers
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    def write_completion(path: Path) -> None:
        passes = stages.passes(roles.bank.images, executor, unfinished(path))
        completion.make(path, Fitting(task, roles.bank, plan.seed, plan.device, passes))

    def make_step(step: Step) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            files, annotator = stages.files, stages.annotator
            folder = unfinished(path)
            context = Context(
                roles, plan.seed, plan.device, files, annotator, folder, executor, plan.mirror
            )
            step.make(path, context)

        return make

    def write_first_step(path: Path) -> None:
        found = stages.annotator().first_step()
        cells = np.array([step.cell for step in found])
        save_file({"cell": cells, "epe": np.stack([step.epe for step in found])}, path)

    images = {
        "family": task.family,
        "roles": roles.record,
        "bank": roles.bank.digest(),
        "annotated": roles.annotated.digest(),
        "fold": asdict(plan.fold),
    }
    before: tuple[str, ...] = ()
    if roles.generated:
        before = ("generated-bank",)
        stages.files[before[0]] = roles.generated.folder
        stages.records[before[0]] = roles.generated.record
    stage("bank", images, before, write_bank)
    completed: tuple[str, ...] = ("bank",)
    completion = COMPLETIONS[task.annotation.completion]
    fitted = completion.config(task, plan.device)
    if fitted is not None:
        stage(completion.stage, dict(fitted) | code_of(completion), ("bank",), write_completion)
        completed = (*completed, completion.stage)
    kind = POSTERIORS[plan.posterior]
    trained_on = {
        "role": roles.record["avp"],
        "images": roles.avp(0).digest(),
        "validation": roles.avp_validation.digest(),
    }
    asked = {"targets": list(plan.targets), "precision": plan.precision, "device": plan.device}
    annotation = annotation_of(task.annotation) | asked
    for step in kind.steps(task):
        config = {**kind.config(step.task, plan.threads, plan.device), **trained_on}
        config |= code_of(kind)
        made_from = (*completed, *step.parents) if step.annotates else step.parents
        if step.annotates:
            config |= {"annotation": annotation_of(cheaply(task.annotation)) | asked}
        stage(step.name, config, made_from, make_step(step), step.stage)
    check_posteriors(plan, stages.posterior, roles)
    parents = (*completed, "posterior")
    stage("first-step", annotation, parents, write_first_step)
    stage("sequences", annotation, (*parents, "first-step"), None)
    return stages
