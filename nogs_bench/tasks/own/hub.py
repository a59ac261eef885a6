"""A dataset that `datasets` loads as the place of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.images import SPLIT_NAMES, HubImages, OpenedDataset, open_dataset, read_picture
from nogs_bench.tasks.own.facts import (
    DECODED,
    OF_SOURCE,
    Facts,
    arguments,
    is_grey,
    middle_side,
    some,
)


@dataclass(frozen=True)
class HubPlace:
    """`NAME`, `NAME:CONFIG`, either with `@REVISION`; or a path; a `Place`.

    `label`: columns of labels, the one that the task is about first; empty: found by type.
    """

    name: str
    config: str | None = None
    revision: str | None = None
    label: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str, label: str | None) -> HubPlace:
        columns = tuple(part.strip() for part in (label or "").split(",") if part.strip())
        if text.startswith((".", "/", "~")) or Path(text).exists():
            return cls(str(Path(text).expanduser().resolve()), label=columns)
        name, _, revision = text.partition("@")
        name, _, config = name.partition(":")
        return cls(name, config or None, revision or None, columns)

    @property
    def opened(self) -> OpenedDataset:
        return open_dataset(self.name, self.config, self.revision, None, self.label)

    def facts(self) -> Facts:
        opened = self.opened
        places = [(split, int(row)) for split, rows in opened.rows.items() for row in rows]
        shown = []
        for number in some(len(places), DECODED):
            split, row = places[number]
            where = f"{opened.name}, {split}, row {row}"
            shown.append(np.asarray(read_picture(opened.picture(split, row), 3, where)))
        numbers = np.concatenate([opened.numbers[split] for split in opened.splits])
        counts = [
            tuple(np.bincount(column, minlength=len(label.classes)).tolist())
            for column, label in zip(numbers.T, opened.labels, strict=True)
        ]
        divided = len(opened.splits) > 1
        return Facts(
            name=_name(Path(opened.name)) if Path(opened.name).exists() else opened.name,
            labels=opened.labels,
            counts=counts[0],
            others=tuple(counts[1:]),
            given={split: len(rows) for split, rows in opened.rows.items()} if divided else {},
            side=middle_side([picture.shape[1::-1] for picture in shown]),
            grey=all(is_grey(picture.transpose(2, 0, 1)) for picture in shown),
            licence=opened.licence,
            citation=opened.citation,
            origin=self._origin,
        )

    @property
    def _origin(self) -> str:
        return "" if Path(self.name).exists() else self.name

    def source(self, settings: Mapping[str, Any]) -> HubImages:
        given = {name: settings[name] for name in OF_SOURCE}
        return HubImages(
            self.name,
            config=self.config,
            revision=self.opened.revision or self.revision,
            label=self.label,
            **given,
        )

    def code(self, settings: Mapping[str, Any], why: Mapping[str, str]) -> str:
        revision = self.opened.revision or self.revision
        return (
            f"HubImages(\n    {self.name!r},\n    config={self.config!r},\n"
            f"    revision={revision!r},\n    label={self.label!r},\n{arguments(settings, why)})"
        )


def _name(place: Path) -> str:
    """What a folder or file on this machine is called; of `birds/train-00000-of-00001.parquet`,
    which says a split alone, `birds`."""
    split = re.fullmatch(r"([a-z]+)(-\d+-of-\d+)?", place.stem.lower())
    return place.parent.name if split and split[1] in SPLIT_NAMES else place.stem
