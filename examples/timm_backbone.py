"""The paper's network with a timm backbone as its glimpse embedder, under a name of its own.

    nogs-bench evaluate examples/timm_backbone.py:TimmNet --embedder timm:mobilenetv3_small_050 \\
      --methods ram,ps-nogs --seeds 5

`timm:NAME@FILE.safetensors` starts from weights in a file. Results call a model by its class, so
that runs of this one and of the reference may lie in one folder.
"""

from __future__ import annotations

from nogs_bench import Task
from nogs_bench.network import HardAttentionNet


class TimmNet(HardAttentionNet):
    """`HardAttentionNet` that insists on a backbone of timm's."""

    def __init__(self, task: Task):
        if not task.training.embedder.startswith("timm:"):
            raise ValueError(
                f"its embedder is a timm backbone, not {task.training.embedder}: give "
                "--embedder timm:mobilenetv3_small_050, or another"
            )
        super().__init__(task)
