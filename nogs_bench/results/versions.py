"""How result files of older format versions become today's, one version at a time.

Version 2 adds `locations` and `build_cost`, and bounds names, texts and numbers. Version 3 adds
`images`, `teaching`, `method_info`, balanced accuracy, and accuracy by class and after each
glimpse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Nobody counted locations or declared what a build cost."""
    return content | {"format_version": 2}


def _from_2(content: dict[str, Any]) -> dict[str, Any]:
    """Nobody noted the images, what taught a run, or how well each class was known."""
    return content | {"format_version": 3}


# format version -> a function from a file's content to that of the next version
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
