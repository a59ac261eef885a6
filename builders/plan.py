"""The settings of a build, resolved against its task."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nogs_bench.builders.stage import Workspace
from nogs_bench.task import Task, get_task, override


@dataclass(frozen=True)
class BuildPlan:
    """The arguments of `build`; picklable, so that worker processes can be started from it."""

    spec: str | Task
    out: Path
    images: int | None
    data: Path | None
    seed: int
    posterior: str
    criterion: str | None
    search: str | None
    threads: int
    device: str
    bank: str | None = None
    bank_images: int | None = None
    completion: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: a task from a user's file is loaded from that file again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def task(self) -> Task:
        """The task, with the plan's overrides in its `annotation`."""
        task = get_task(self.spec)
        annotation = override(
            task.annotation,
            images=self.images,
            criterion=self.criterion,
            search=self.search,
            bank_images=self.bank_images,
            completion=self.completion,
        )
        return replace(task, annotation=annotation)

    @property
    def count(self) -> int:
        """How many images are annotated."""
        return self.task.annotation.images

    @property
    def workspace(self) -> Workspace:
        """Where the stages' files are."""
        return Workspace(self.out / ".build")
