"""Training methods: what of a run is supervised, how strongly, and what pre-training looked at.

A method is data: the trainer is the same for all. Another one is another `Method` in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nogs_bench.registry import Registry
from nogs_bench.results import Teaching


def constant(iteration: int, iterations: int) -> float:
    """Supervision as strong at the end as at the start."""
    return 1.0


def fading(iteration: int, iterations: int) -> float:
    """From 1 at the start linearly to 0 half-way, and 0 from there on."""
    return max(0.0, 1 - 2 * iteration / iterations)


@dataclass(frozen=True)
class Method:
    """One way of training a hard-attention network.

    **Arguments**

    - `description`: one line.
    - `reference`: where it is from.
    - `sequences`: which glimpse sequences supervise the location network: NAME or NAME:ARGUMENT of
      `nogs_bench.training.supervision.SEQUENCES`; None means none.
    - `schedule`: (iteration from 0, iterations of the run) to a factor, at least 0, of the task's
      supervision weight. Where it is 0, the images that have a sequence train as all others do.
    - `pretraining_glimpses`: name in `nogs_bench.training.GLIMPSES`, where pre-training looks, in
      protocols that pre-train; None leaves it to the protocol (`Pretraining.glimpses`).
    - `needs_pretraining`: whether without pre-training the method would be another's double.
    """

    name: str
    description: str
    reference: str
    sequences: str | None = None
    schedule: Callable[[int, int], float] = constant
    pretraining_glimpses: str | None = None
    needs_pretraining: bool = False

    @property
    def supervised(self) -> bool:
        """Whether any image supervises the location network."""
        return self.sequences is not None

    @property
    def teaching(self) -> tuple[Teaching, ...]:
        """What teaches a run beside the label after its last glimpse, as results record it."""
        return ("sequences",) if self.supervised else ()


METHODS: Registry[Method] = Registry("method", group="nogs_bench.methods")


def register_method(method: Method) -> Method:
    """Make `method` known by its name. Returns it."""
    return METHODS.add(method.name, method)


RAM = register_method(
    Method(
        name="ram",
        description="REINFORCE alone, without supervision: the baseline",
        reference="Mnih et al. 2014; section 6 of the paper",
        pretraining_glimpses="uniform",
    )
)
RAM_PLUS = register_method(
    Method(
        name="ram+",
        description="REINFORCE alone, after pre-training on salient glimpses (eq. 17)",
        reference="section 6 and appendix B.2 of the paper",
        pretraining_glimpses="heuristic",
        needs_pretraining=True,
    )
)
PS_NOGS = register_method(
    Method(
        name="ps-nogs",
        description="Partial supervision by near-optimal glimpse sequences",
        reference="section 5 of the paper",
        sequences="near-optimal",
    )
)
PS_HGS = register_method(
    Method(
        name="ps-hgs",
        description="Partial supervision by hand-crafted glimpse sequences",
        reference="section 6 of the paper",
        sequences="hand-crafted",
    )
)
PS_H1 = register_method(
    Method(
        name="ps-h1",
        description="Partial supervision by glimpses drawn from eq. 17, inverse temperature 1",
        reference="appendix B.3 of the paper",
        sequences="heuristic:1",
    )
)
PS_H5 = register_method(
    Method(
        name="ps-h5",
        description="Partial supervision by glimpses drawn from eq. 17, inverse temperature 5",
        reference="appendix B.3 of the paper",
        sequences="heuristic:5",
    )
)
PS_NOGS_ANNEAL = register_method(
    Method(
        name="ps-nogs-anneal",
        description="ps-nogs whose supervision fades to nothing half-way: RAM from there on",
        reference="nogs-bench; section 6 of the paper says why",
        sequences="near-optimal",
        schedule=fading,
    )
)
