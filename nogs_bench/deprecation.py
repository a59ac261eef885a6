"""How something goes: it warns first, and says what stands in for it and when it goes.

docs/stability.md says how long before.
"""

from __future__ import annotations

import warnings


class NogsDeprecationWarning(FutureWarning):
    """Something that was used will be removed in a later version.

    Python shows it to users, like every `FutureWarning`.
    """


def deprecated(what: str, instead: str, gone_in: str) -> None:
    """Warn, at the line that called the caller, that `what` goes in the version `gone_in`.

    **Arguments**

    - `what`: as its user wrote it, such as "--bank-size".
    - `instead`: what to write from now on.
    - `gone_in`: the version without it. A test fails in that version until the call is gone, so it
      is written out at the call.
    """
    message = f"{what} goes in nogs-bench {gone_in}; use {instead}"
    warnings.warn(message, NogsDeprecationWarning, stacklevel=3)
