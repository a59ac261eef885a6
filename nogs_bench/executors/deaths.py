"""When work is given up because its workers die: workers are killed from outside, too.

Machines that may be taken away kill workers whatever they do, so that deaths fall on all items
alike. An item that kills its workers itself, by needing too much memory or by a crash, is known by
this: it dies each time, where others come to an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

# An item is given up when so many deaths in a row would be this unlikely at the rate at which
# others die, or at `RATE` if that is more: what takes longer than others dies more often.
DOUBT, RATE = 1e-6, 1 / 4
# All work is given up after so many deaths for each worker, between which nothing came forward.
IN_VAIN = 20


@dataclass
class Deaths:
    """Counts of the deaths of `workers` workers, and of what they finished."""

    workers: int
    finished: int = 0
    died: int = 0
    in_vain: int = 0
    in_a_row: Counter[Hashable] = field(default_factory=Counter)

    def finish(self) -> None:
        """An item was finished."""
        self.finished += 1
        self.in_vain = 0

    def further(self, item: Hashable) -> None:
        """An item, not finished, came further than ever, and will go on from there."""
        self.in_vain = 0
        self.in_a_row[item] = 0

    def hopeless(self, item: Hashable) -> bool:
        """Note the death of a worker at an item; whether to give up.

        `None` stands for a worker's getting ready, which all workers do alike.
        """
        self.died += 1
        self.in_vain += 1
        if self.in_vain >= IN_VAIN * self.workers:
            return True
        if item is None:
            return False
        self.in_a_row[item] += 1
        others = self.died - self.in_a_row[item]
        # Laplace's rule of succession: the share of the others that died.
        share = (others + 1) / (others + self.finished + 2)
        return bool(max(share, RATE) ** self.in_a_row[item] < DOUBT)
