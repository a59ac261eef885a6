"""The authors' archive where it is, else one made here."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from nogs_bench.builders.released.datasets import import_released
from places import SHARED

RELEASED = SHARED / "released"


BIRD = "40, 48\n72, 48\n40, 80\n16, 64\n32, 24\ndata/birds/train/images/8.png"


FACE = "147, 126\n92, 118\n76, 160\n147, 76\n181, 21\n"


def write_tar(path: Path, members: Iterable[tuple[str, str]]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, text in members:
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def made_members() -> Iterable[tuple[str, str]]:
    for attribute in range(40):
        for image in range(600):
            yield f"optimal-sequences/celebhq/{attribute}/{image}.txt", FACE
    for bird in range(1000):
        yield f"optimal-sequences/birds/{bird}.txt", BIRD.replace("/8.", f"/{bird * 11}.")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Archive and label file."""
    if RELEASED.exists():
        return RELEASED / "optimal-sequences.tar.gz", RELEASED / "celeba-hq-attributes.txt.gz"
    folder = tmp_path_factory.mktemp("released")
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{i:06}.png{' -1' * 39} 1\n" for i in range(30_000)))
    return write_tar(folder / "sequences.tar.gz", made_members()), labels


@pytest.fixture(scope="module")
def imported(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return import_released(*inputs, tmp_path_factory.mktemp("nogs"))
