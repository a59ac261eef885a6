"""Embedders that are never trained: `frozen:SPEC`.

In come another embedder's specification and images; a `FrozenEmbedder` comes out, with a file of
what it makes of all glimpses of the images, and a stack of networks that share it.
"""

from nogs_bench.network.frozen import stack  # noqa: F401  (registers)
from nogs_bench.network.frozen.embedder import (
    FrozenEmbedder,
    FrozenNetwork,
    frozen_network,
    frozen_parameters,
    is_frozen,
    unfrozen,
    weights_digest,
)
from nogs_bench.network.frozen.table import feature_table

__all__ = [
    "FrozenEmbedder",
    "FrozenNetwork",
    "feature_table",
    "frozen_network",
    "frozen_parameters",
    "is_frozen",
    "unfrozen",
    "weights_digest",
]
