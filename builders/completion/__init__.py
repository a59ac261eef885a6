"""What an image may be, given the glimpses seen: a stochastic completion (section 4.2).

In come a bank and the glimpses of an image; out come whole images, drawn from an approximation of
their posterior. Each kind registers in `COMPLETIONS`; `retrieval` is the paper's.
"""

from nogs_bench.builders.completion import (  # noqa: F401  (they register)
    conditional_gan,
    hmc,
    retrieval,
)
from nogs_bench.builders.completion.evidence import ScheduledEvidence
from nogs_bench.builders.completion.kinds import (
    COMPLETIONS,
    Belief,
    Completion,
    CompletionKind,
    Completions,
    Fitting,
    Query,
    fit_completion,
)
from nogs_bench.builders.completion.matching import region
from nogs_bench.builders.completion.passes import (
    PIECE_PIXELS,
    Here,
    Passes,
    Spread,
)
from nogs_bench.builders.completion.pca import (
    EXACT_PIXELS,
    EXTRA_COMPONENTS,
    FIT_IMAGES,
    FLOAT32_LATENTS,
    PASSES,
    Pca,
    fit_pca,
    fitting_pieces,
    pieces_of,
)
from nogs_bench.builders.completion.proposal import Proposal
from nogs_bench.builders.completion.retrieval import Retrieval

__all__ = [
    "COMPLETIONS",
    "EXACT_PIXELS",
    "EXTRA_COMPONENTS",
    "FIT_IMAGES",
    "FLOAT32_LATENTS",
    "PASSES",
    "PIECE_PIXELS",
    "Belief",
    "Completion",
    "CompletionKind",
    "Completions",
    "Fitting",
    "Here",
    "Passes",
    "Pca",
    "Proposal",
    "Query",
    "Retrieval",
    "ScheduledEvidence",
    "Spread",
    "fit_completion",
    "fit_pca",
    "fitting_pieces",
    "pieces_of",
    "region",
]
