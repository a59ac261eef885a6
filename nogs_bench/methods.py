"""Training methods: what of a run is supervised, how strongly, and what pre-training looked at.

A method is data: the trainer is the same for all. Another one is another `Method` in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nogs_bench.registry import Registry


def constant(iteration: int, iterations: int) -> float:
    """Supervision as strong at the end as at the start."""
    return 1.0


@dataclass(frozen=True)
class Method:
    """One way of training a hard-attention network.

    **Arguments**

    - `description`: one line.
    - `reference`: where it is from.
    - `supervised`: whether images that have a glimpse sequence supervise the location network.
    - `schedule`: (iteration from 0, iterations of the run) to a factor, at least 0, of the task's
      supervision weight.
    - `pretraining_glimpses`: name in `nogs_bench.pretrain.GLIMPSES`; where pre-training looks, in
      protocols that pre-train.
    """

    name: str
    description: str
    reference: str
    supervised: bool
    schedule: Callable[[int, int], float] = constant
    pretraining_glimpses: str = "uniform"


METHODS: Registry[Method] = Registry("method", group="nogs_bench.methods")


def register_method(method: Method) -> Method:
    """Make `method` known by its name. Returns it."""
    return METHODS.add(method.name, method)


RAM = register_method(
    Method(
        name="ram",
        description="REINFORCE alone, without supervision: the baseline",
        reference="Mnih et al. 2014; section 6 of the paper",
        supervised=False,
    )
)
PS_NOGS = register_method(
    Method(
        name="ps-nogs",
        description="Partial supervision by near-optimal glimpse sequences",
        reference="section 5 of the paper",
        supervised=True,
    )
)
