"""What may stand where a task's name is asked for, beside a name and `FILE.py:NAME`."""

from __future__ import annotations

from typing import Any, Protocol

from nogs_bench.registry import Registry


class TaskSpec(Protocol):
    """A kind of text that stands for a task, such as a folder of images.

    `images` is what such a text says, as errors and `--help` show it.
    """

    @property
    def images(self) -> str: ...

    def fits(self, text: str) -> bool:
        """Whether `text` is of this kind."""
        ...

    def task(self, text: str) -> Any:
        """The `Task` that it stands for. Raises `NogsError` if it cannot be had."""
        ...


SPECS: Registry[TaskSpec] = Registry("kind of task", group="nogs_bench.task_specs")


def spec_of(text: str) -> TaskSpec | None:
    """The kind that `text` is of, in the order of registration; None if it is none."""
    return next((spec for spec in SPECS if spec.fits(text)), None)
