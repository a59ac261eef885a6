"""Decoded images of many files, kept on disk: what did not change is not decoded again.

CACHE/images/<key>/images.npy   uint8 (n, channels, size, size), memory-mapped
CACHE/images/<key>/rows.json    of each row, what it was decoded from, its digest and shape

The key names the place, size and channels. A row counts as long as its file's size and times
(of change of content, and of the file itself) are as they were. Other processes wait for the one
that decodes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.device import cores
from nogs_bench.errors import NogsError
from nogs_bench.files import (
    cache_folder,
    digest_json,
    locked,
    new_array,
    read_array,
    replacing,
    write_json,
)
from nogs_bench.images.decoder import quietly
from nogs_bench.images.labelled import picture_digest
from nogs_bench.images.near import shape_of
from nogs_bench.progress import progress_bars

FORMAT = 2
IN_MEMORY = 2**28  # bytes of a part
PART_ROWS = 1024
AHEAD = 8  # files that wait for each thread


@dataclass(frozen=True)
class Item:
    """An image to decode.

    - `name`: unique, and the same whenever the same image is asked for.
    - `state`: plain values that change when its content does.
    - `read`: its pixels, uint8 (channels, size, size). Raises `NogsError` if it is bad.
    """

    name: str
    state: Sequence[Any]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Decoded:
    """Rows of pixels in the order of the items, and each one's digest.

    - `pixels`: uint8 (m, channels, size, size), memory-mapped; `rows`: int64 (n,), each item's row.
    - `digests`: n sha256 of an image's pixels; `shapes`: what `shape_of` says of them.
    """

    pixels: np.ndarray
    rows: np.ndarray
    digests: list[str]
    shapes: list[str | None]
    folder: Path

    def part(self, numbers: Sequence[int]) -> np.ndarray:
        """uint8 (len(numbers), channels, size, size) of some items; memory-mapped from a file of
        their own if they are large."""
        rows = self.rows[np.asarray(numbers, np.int64)]
        if self.pixels[0].nbytes * len(rows) <= IN_MEMORY:
            return np.array(self.pixels[rows])
        name = digest_json([self.digests[number] for number in numbers])[:32]
        path = self.folder / f"part-{name}.npy"
        with writable(self.folder), locked(self.folder / "lock", "", wait=True):
            if not path.is_file():
                with replacing(path) as temporary:
                    shape = (len(rows), *self.pixels.shape[1:])
                    new = new_array(temporary, np.uint8, shape)
                    for start in range(0, len(rows), PART_ROWS):
                        stop = start + PART_ROWS
                        new[start:stop] = self.pixels[rows[start:stop]]
                    new.flush()
        return read_array(path, "c")


def file_state(path: Path) -> tuple[int, int, int]:
    """Size in bytes and times of the last change, nanoseconds: what tells that a file changed."""
    try:
        found = path.stat()
    except OSError as error:
        raise NogsError(f"{path} cannot be read ({error.strerror}); remove it") from error
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def decoded(items: Sequence[Item], shape: tuple[int, int, int], place: str) -> Decoded:
    """The pixels of all items, `shape` (channels, size, size) each, kept for the next call.

    `place` says of what and how they were made: other places are kept apart. Decodes on
    all cores, with a bar. A call that is stopped keeps what it has. Raises `NogsError`
    for the first bad image, and if the cache cannot be written.
    """
    settings = {"format": FORMAT, "place": place, "shape": list(shape)}
    folder = cache_folder() / "images" / digest_json(settings)[:32]
    with writable(folder), locked(folder / "lock", "", wait=True):
        return _decoded(folder, settings, items, shape)


@contextmanager
def writable(folder: Path, kept: str = "decoded images") -> Iterator[None]:
    """Say what to do if the block cannot write what is `kept` in a folder of the cache."""
    try:
        yield
    except OSError as error:
        raise NogsError(
            f"{folder} cannot be written ({error.strerror or error}): {kept} are kept there; name "
            "another folder with the environment variable NOGS_BENCH_CACHE"
        ) from error


def _decoded(
    folder: Path,
    settings: Mapping[str, Any],
    items: Sequence[Item],
    shape: tuple[int, int, int],
) -> Decoded:
    known = _known(folder, settings)
    wanted = [(item.name, list(item.state)) for item in items]
    held = all(name in known and known[name]["state"] == state for name, state in wanted)
    if not held or not (folder / "images.npy").is_file():
        known = _make(folder, settings, items, shape, known)
    return Decoded(
        pixels=read_array(folder / "images.npy", "c"),
        rows=np.array([known[item.name]["row"] for item in items], np.int64),
        digests=[known[item.name]["digest"] for item in items],
        shapes=[known[item.name]["shape"] for item in items],
        folder=folder,
    )


def _known(folder: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What earlier calls decoded, by name; nothing if that is damaged, or there is none."""
    try:
        record = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
        count = len(read_array(folder / "images.npy", "c"))
    except (OSError, ValueError, NogsError):
        return {}
    if not isinstance(record, dict) or record.get("settings") != settings:
        return {}
    rows: dict[str, dict[str, Any]] = record["rows"]
    return rows if all(row["row"] < count for row in rows.values()) else {}


def _make(
    folder: Path,
    settings: Mapping[str, Any],
    items: Sequence[Item],
    shape: tuple[int, int, int],
    known: Mapping[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Decode what is not known into a new file beside the old one; all rows.

    The new file takes the old one's place when it is whole. If the work is stopped it does so too,
    with what there is. Who has the old one mapped keeps it.
    """
    rows: dict[str, dict[str, Any]] = {}
    todo: list[int] = []
    failed: BaseException | None = None
    with replacing(folder / "images.npy") as temporary:
        pixels = new_array(temporary, np.uint8, (len(items), *shape))
        old = read_array(folder / "images.npy", "c") if known else None
        for row, item in enumerate(items):
            entry = known.get(item.name)
            if old is not None and entry is not None and entry["state"] == list(item.state):
                pixels[row] = old[entry["row"]]
                rows[item.name] = entry | {"row": row}
            else:
                todo.append(row)
        try:
            for row, told in _each(items, pixels, todo):
                rows[items[row].name] = {"row": row, "state": list(items[row].state), **told}
        except BaseException as error:  # Ctrl-C too: what is decoded is kept
            failed = error
        pixels.flush()
        del pixels, old  # some systems do not replace a file that is mapped
        (folder / "rows.json").unlink(missing_ok=True)
        for part in folder.glob("part-*.npy"):
            part.unlink()
    write_json(folder / "rows.json", {"settings": dict(settings), "rows": rows})
    if failed is not None:
        raise failed
    return rows


def _each(
    items: Sequence[Item], pixels: np.ndarray, todo: Sequence[int]
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Decode rows into `pixels`, in threads: Pillow works without the interpreter's lock.

    Yields each row with the digest and the shape of its pixels, in order.
    """
    if not todo:
        return

    def one(row: int) -> tuple[int, dict[str, str | None]]:
        image = pixels[row] = items[row].read()
        return row, {"digest": picture_digest(image), "shape": shape_of(image)}

    count = cores()
    waiting: deque[Future[tuple[int, dict[str, str | None]]]] = deque()
    with quietly(), progress_bars() as bars, ThreadPoolExecutor(count) as pool:
        bar = bars.add_task("Images", total=len(todo), note="")
        try:
            for row in todo:
                waiting.append(pool.submit(one, row))
                if len(waiting) == count * AHEAD:
                    yield waiting.popleft().result()
                    bars.advance(bar)
            while waiting:
                yield waiting.popleft().result()
                bars.advance(bar)
        finally:
            for left in waiting:
                left.cancel()
