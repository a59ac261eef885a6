"""The hard-attention network, and many of them computed as one.

In come a `Task` and images; a model (`start`, `look`, `locate`, `classify`) and a `Fovea`, which
cuts its glimpses, come out; `stack` makes one module of R models of a class.
"""

from nogs_bench.network import reference_stack  # noqa: F401  (registers)
from nogs_bench.network.backbones import normalisation, timm_backbone
from nogs_bench.network.conversion import convert_weights
from nogs_bench.network.embedders import EMBEDDERS, glimpse_convolutions, make_embedder
from nogs_bench.network.fovea import (
    Fovea,
    ImageTensors,
    follow,
    fovea_of,
    mirrored,
    roll_out,
)
from nogs_bench.network.frozen import (
    FrozenNetwork,
    feature_table,
    frozen_network,
    frozen_parameters,
    is_frozen,
    unfrozen,
    weights_digest,
)
from nogs_bench.network.model import (
    MODELS,
    HardAttentionNet,
    ModelSource,
    load_model,
    location_parameters,
)
from nogs_bench.network.policy import log_probability, sample
from nogs_bench.network.stacking import (
    MappedStack,
    joint,
    part_of,
    pick,
    plain_attention,
    stack,
    unstack,
    whole_of,
    why_not,
)
from nogs_bench.network.weights import check_shapes, load_weights, require_finite

__all__ = [
    "EMBEDDERS",
    "MODELS",
    "Fovea",
    "FrozenNetwork",
    "HardAttentionNet",
    "ImageTensors",
    "MappedStack",
    "ModelSource",
    "check_shapes",
    "convert_weights",
    "feature_table",
    "follow",
    "fovea_of",
    "frozen_network",
    "frozen_parameters",
    "glimpse_convolutions",
    "is_frozen",
    "joint",
    "load_model",
    "load_weights",
    "location_parameters",
    "log_probability",
    "make_embedder",
    "mirrored",
    "normalisation",
    "part_of",
    "pick",
    "plain_attention",
    "require_finite",
    "roll_out",
    "sample",
    "stack",
    "timm_backbone",
    "unfrozen",
    "unstack",
    "weights_digest",
    "whole_of",
    "why_not",
]

MODELS.seal()
EMBEDDERS.seal()
