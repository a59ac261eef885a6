"""The paper's methods, and one that fades: what differs is what supervises, and how long."""

from __future__ import annotations

from nogs_bench.methods.method import Method, fading, register_method

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
        description="ps-nogs, but supervision fades to nothing in the first half; the second half "
        "has RAM's loss, on batches drawn as those of ps-nogs",
        reference="nogs-bench; section 6 of the paper says why",
        sequences="near-optimal",
        schedule=fading,
    )
)
