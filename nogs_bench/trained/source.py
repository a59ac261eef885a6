"""What code a model is known by, in results and where its weights are loaded."""

from __future__ import annotations

from nogs_bench.files import digest_json
from nogs_bench.network import EMBEDDERS, ModelSource, unfrozen, weights_digest
from nogs_bench.own_code import joint_digest
from nogs_bench.tasks import Task


def code_digest(source: ModelSource, task: Task) -> str:
    """The model's digest, with those of the task's embedder, frozen or not: of its code, if this is
    the user's own, and of the weights that it starts from, if these are not random."""
    name = unfrozen(task.training.embedder).partition(":")[0]
    embedders = [EMBEDDERS[name]] if name in EMBEDDERS.names() else []
    code = joint_digest(source.digest, *embedders)
    weights = weights_digest(task) if embedders else None
    return code if weights is None else digest_json([code, weights])
