"""Ways of training: what a batch's rollout gave goes in, a loss comes out.

A `Method` is data and one pure function of `Rows`; the trainer is the same for all. `METHODS` holds
those that have a name; `find_method` also takes one from a file, and other settings.
"""

from nogs_bench.methods import paper, rewards, taught  # noqa: F401  (register)
from nogs_bench.methods.asked import asked_methods
from nogs_bench.methods.check import check_method
from nogs_bench.methods.losses import (
    class_loss,
    entropy,
    label_at_each_step,
    label_reward,
    location_loss,
    masked_mean,
    partially_supervised,
    soft_cross_entropy,
)
from nogs_bench.methods.method import (
    METHODS,
    TEACHINGS,
    Method,
    constant,
    fading,
    find_method,
    method_source,
    named_settings,
    names_method,
    place_of,
    recorded_method,
    recorded_settings,
    register_method,
    unchanged,
)
from nogs_bench.methods.rows import NEEDS, Rows

__all__ = [
    "METHODS",
    "NEEDS",
    "TEACHINGS",
    "Method",
    "Rows",
    "asked_methods",
    "check_method",
    "class_loss",
    "constant",
    "entropy",
    "fading",
    "find_method",
    "label_at_each_step",
    "label_reward",
    "location_loss",
    "masked_mean",
    "method_source",
    "named_settings",
    "names_method",
    "partially_supervised",
    "place_of",
    "recorded_method",
    "recorded_settings",
    "register_method",
    "soft_cross_entropy",
    "unchanged",
]

METHODS.seal()
