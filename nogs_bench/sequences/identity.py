"""Which images sequences are of: a digest of each annotated image, as `provenance.json` keeps it.

    "annotated_images": {"numbers": "0-599,700", "digests": "8 hexadecimal digits of each"}

A label alone would bind sequences to any image of the same class.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import PROVENANCE, read_provenance
from nogs_bench.images import picture_digest

FIELD = "annotated_images"
DIGITS = 8  # of each sha256: for a mistake, not for a forger

Identity = Mapping[int, str]


def identity_record(index: np.ndarray, images: np.ndarray) -> dict[str, dict[str, str]]:
    """The record of images uint8 (n, channels, size, size), numbers `index` (n,), increasing."""
    digests = "".join(_short(image) for image in images)
    return {FIELD: {"numbers": _spans(index), "digests": digests}}


def read_identity(folder: Path) -> Identity | None:
    """Each annotated image's digest by its number; None where the folder does not record them.

    Raises `NogsError` if the record is damaged.
    """
    if not (folder / PROVENANCE).is_file():
        return None
    record = read_provenance(folder).get(FIELD)
    if record is None:
        return None
    try:
        numbers, digests = _numbers(record["numbers"]), record["digests"]
        if not re.fullmatch(f"[0-9a-f]{{{DIGITS * len(numbers)}}}", digests):
            raise ValueError("digests")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NogsError(f"{folder / PROVENANCE} is damaged in {FIELD}; build it again") from error
    return {n: digests[DIGITS * i : DIGITS * (i + 1)] for i, n in enumerate(numbers)}


def check_identity(
    known: Identity | None, index: np.ndarray, images: np.ndarray, where: str
) -> None:
    """Raise `NogsError` unless the train split's `images` are those that sequences were built for.

    - `index`: numbers of images; those that are not in `known` are passed over. Where nothing is
      known, one line on standard error says so.
    - `images`: uint8 (n, channels, size, size), the whole split.
    """
    if known is None:
        _say_unknown(where)
        return
    number = first_other(known, index, images)
    if number is not None:
        raise NogsError(
            f"{where}: the sequences are of other images: image {number} of train has other "
            "pixels than when they were built; give those images, or build again"
        )


def first_other(known: Identity, index: np.ndarray, images: np.ndarray) -> int | None:
    """The first number in `index`, int64 (n,), whose image in `images`, uint8 (m, channels, size,
    size), is not the one that is known; None if all are."""
    for number in index.tolist():
        if number in known and (number >= len(images) or _short(images[number]) != known[number]):
            return int(number)
    return None


@cache
def _say_unknown(where: str) -> None:
    print(
        f"{where}: the sequences do not record which images they are of; their labels alone were "
        "compared",
        file=sys.stderr,
    )


def _short(image: np.ndarray) -> str:
    return picture_digest(image)[:DIGITS]


def _spans(index: np.ndarray) -> str:
    parts = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1) if len(index) else []
    return ",".join(f"{part[0]}" if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _numbers(spans: str) -> list[int]:
    numbers: list[int] = []
    for span in spans.split(",") if spans else ():
        first, _, last = span.partition("-")
        if len(first) > 12 or len(last) > 12:
            raise ValueError(span)
        if int(last or first) - int(first) > 10**8:
            raise ValueError(span)
        numbers += range(int(first), int(last or first) + 1)
    return numbers
