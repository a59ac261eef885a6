"""What code a model is known by, in results and where its weights are loaded."""

from __future__ import annotations

from nogs_bench.network import EMBEDDERS, ModelSource
from nogs_bench.own_code import joint_digest
from nogs_bench.tasks import Task


def code_digest(source: ModelSource, task: Task) -> str:
    """The model's digest, with that of the task's embedder if this is the user's own."""
    name = task.training.embedder.partition(":")[0]
    embedders = [EMBEDDERS[name]] if name in EMBEDDERS.names() else []
    return joint_digest(source.digest, *embedders)
