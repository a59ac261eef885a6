"""Where to look next: the cell whose expected posterior entropy is least (equation 6).

In come a posterior and completions; criteria (`epe`) value a cell, searches value as few cells as
they can, `annotate` chooses glimpse by glimpse, `shards` does so for many images, and `correction`
holds what was stated to what came true.
"""

from nogs_bench.builders.search import (  # noqa: F401  (they register)
    coarse,
    racing,
    rematch,
)
from nogs_bench.builders.search.annotate import GROUP, Annotator
from nogs_bench.builders.search.check import check_own
from nogs_bench.builders.search.correction import corrections, holds, standard_error
from nogs_bench.builders.search.epe import CRITERIA, StepEpe
from nogs_bench.builders.search.lockstep import PRECISIONS, Evaluator
from nogs_bench.builders.search.observed import WAYS
from nogs_bench.builders.search.racing import Race
from nogs_bench.builders.search.regret import Chosen, regrets
from nogs_bench.builders.search.searches import (
    SEARCHES,
    Ask,
    Found,
    Problem,
    Search,
    Steps,
)
from nogs_bench.builders.search.shards import (
    FIELDS,
    SHARD,
    Shard,
    Work,
    annotate_all,
    gathered,
    shard_size,
    shards_of,
)

__all__ = [
    "CRITERIA",
    "FIELDS",
    "GROUP",
    "PRECISIONS",
    "SEARCHES",
    "SHARD",
    "WAYS",
    "Annotator",
    "Ask",
    "Chosen",
    "Evaluator",
    "Found",
    "Problem",
    "Race",
    "Search",
    "Shard",
    "StepEpe",
    "Steps",
    "Work",
    "annotate_all",
    "check_own",
    "corrections",
    "gathered",
    "holds",
    "regrets",
    "shard_size",
    "shards_of",
    "standard_error",
]
