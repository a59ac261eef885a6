"""The images of a build and what they are for.

In come a task's images, or a generator; out come the bank that completions are drawn from, and the
other roles: annotated, AVP training, AVP validation. No image plays two.
"""

from nogs_bench.builders.bank.counts import WHOLE, Counts, Fold, count_roles
from nogs_bench.builders.bank.images import (
    ROWS,
    GeneratedBank,
    bring_bank,
    make_bank,
    open_bank,
)
from nogs_bench.builders.bank.roles import Roles, assign_roles

__all__ = [
    "ROWS",
    "WHOLE",
    "Counts",
    "Fold",
    "GeneratedBank",
    "Roles",
    "assign_roles",
    "bring_bank",
    "count_roles",
    "make_bank",
    "open_bank",
]
