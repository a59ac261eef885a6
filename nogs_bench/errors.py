"""The one exception a user is meant to read."""

from __future__ import annotations


class NogsError(Exception):
    """Bad input, said in one line: what is wrong, where, and what to do about it.

    The command line prints the message as it is and exits with 1. Anything else that escapes is
    a defect in the package.
    """
