"""Which image goes into which split: the same share of every class, copies together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images.decoder import MODES, Colour

Groups = list[list[int]]


class Divided(Protocol):
    """Settings of a source that divides its images; see `ImageFolder`."""

    @property
    def image_size(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def background(self) -> Colour: ...
    @property
    def shares(self) -> Mapping[str, float]: ...


def check_division(source: Divided) -> None:
    """Make numpy's integers Python's; raise `NogsError` at a setting that is out of its range."""
    where = f"images of {getattr(source, 'root', None) or getattr(source, 'name', '')}"
    for name in ("image_size", "channels", "seed"):
        value = getattr(source, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise NogsError(f"{where}: {name} must be an integer, not {value!r}")
        object.__setattr__(source, name, int(value))  # sources are frozen
    if source.channels not in MODES:
        raise NogsError(f"{where}: channels must be 1 or 3, not {source.channels}")
    if source.image_size < 1:
        raise NogsError(f"{where}: image_size must be at least 1, not {source.image_size}")
    if source.seed < 0:
        raise NogsError(f"{where}: seed must be at least 0, not {source.seed}")
    shares = list(source.shares.values())
    if min(shares) <= 0 or sum(shares) >= 1:
        raise NogsError(
            f"{where}: validation, test and avp_validation are shares above 0 that leave some to "
            f"train, not {shares}"
        )
    if len(source.background) != 3 or not all(0 <= part <= 255 for part in source.background):
        raise NogsError(
            f"{where}: background is (red, green, blue) in 0 .. 255, not {source.background}"
        )


def divide(
    labels: Sequence[str],
    digests: Sequence[str],
    given: Sequence[str | None],
    shares: Mapping[str, float],
    seed: int,
    where: str,
) -> dict[str, list[int]]:
    """Numbers of the images of each split, shuffled but for copies, which stay side by side.

    Of each class, `shares` of the images (at least one) go into the splits that are not given, and
    the rest train. Images with equal digests go into one split together.

    **Arguments**

    - `labels`, `digests`: each image's class, and the digest of its pixels.
    - `given`: the split that an image is in already; None: it is to be divided. Where some are
      given, `"train"` is divided for the splits that are not.
    - `shares`: of each split but `"train"`, above 0, less than 1 in all.
    - `where`: the folder, as errors call it.

    Raises `NogsError` if a class has too few distinct images for its splits.
    """
    wanted = {name: share for name, share in shares.items() if name not in set(given)}
    found: dict[str, Groups] = {"train": [], **{name: [] for name in shares}}
    classes: dict[str, Groups] = {label: [] for label in sorted(set(labels))}
    for group in _groups(digests, given):
        split = given[group[0]] or "train"
        if split == "train":
            classes[labels[group[0]]].append(group)
        else:
            found[split].append(group)
    for number, (label, groups) in enumerate(classes.items()):
        parts = _divided(groups, wanted, np.random.default_rng([seed, number]))
        empty = [name for name, part in parts.items() if not part]
        if empty:
            raise NogsError(
                f"{where}: class {label} has too few images ({len(groups):,} distinct ones) for "
                f"{len(parts)} splits; add images, or remove it"
            )
        for name, part in parts.items():
            found[name] += part
    rng = np.random.default_rng([seed, len(classes)])
    return {
        name: [image for place in rng.permutation(len(groups)) for image in groups[place]]
        for name, groups in found.items()
    }


def account(
    labels: Sequence[str], digests: Sequence[str], splits: Mapping[str, Sequence[int]], where: str
) -> list[str]:
    """What is to be said about images with equal pixels, a line each."""
    same: dict[str, list[int]] = defaultdict(list)
    for number, digest in enumerate(digests):
        same[digest].append(number)
    copies = len(digests) - len(same)
    lines = []
    if copies:
        lines.append(
            f"{where}: {copies:,} of {len(digests):,} images are copies of others, pixel by pixel; "
            "images that were divided here have their copies in the same split"
        )
    torn = sum(len({labels[number] for number in group}) > 1 for group in same.values())
    if torn:
        lines.append(f"{where}: {torn:,} images are there with two labels or more; remove one")
    trained = {digests[number] for number in splits["train"]}
    for name in ("validation", "test"):
        seen = sum(digests[number] in trained for number in splits[name])
        if seen:
            lines.append(
                f"{where}: {seen:,} of the {len(splits[name]):,} images of {name} are training "
                "images too; scores on them are too good"
            )
    return lines


def _groups(digests: Sequence[str], given: Sequence[str | None]) -> Groups:
    """Numbers of the images with equal digests in a given split, in the order of the first."""
    groups: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for number, key in enumerate(zip(digests, given, strict=True)):
        groups[key].append(number)
    return list(groups.values())


def _divided(
    groups: Groups, shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Groups]:
    """Groups of one class into splits, by the number of images; what is left trains."""
    count = sum(map(len, groups))
    left = [groups[place] for place in rng.permutation(len(groups))]
    parts: dict[str, Groups] = {}
    for name, share in shares.items():
        quota, taken, rest = max(1, round(share * count)), [], []
        for group in left:
            if len(group) <= quota:
                taken.append(group)
                quota -= len(group)
            else:
                rest.append(group)
        if not taken and rest:  # a class of large groups
            smallest = min(rest, key=len)
            rest.remove(smallest)
            taken.append(smallest)
        parts[name], left = taken, rest
    return parts | {"train": left}
