"""What `ImageFolder` costs beside what Pillow alone needs for the same files.

Writes JPEGs of photographs' kind and size into a temporary folder, then, in turn:

- Pillow alone: open, turn upright, convert, cut square, resize; with as many threads as cores, and
  with one;
- `ImageFolder`: the same pixels, with listing, digests of all pixels, splits, and the file that
  keeps them; its cache is removed before each turn;
- `ImageFolder` again, when nothing has changed.

Prints medians with their range, in seconds of time and of the process's processor time (which other
work on the machine disturbs less), whether the pixels are the same, and last one line of JSON.

    python benchmarks/decode.py                    # 20,000 files, 5 turns
    python benchmarks/decode.py --files 2000
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageOps

TARGET = 1.3
CLASSES = 10


def write_files(root: Path, count: int, width: int, height: int) -> list[Path]:
    """`count` JPEGs in ten classes: smooth shapes with some noise, no two alike."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        small = rng.integers(0, 256, (height // 16, width // 16, 3)).astype(np.uint8)
        picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        path = root / f"class-{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=85)
        files.append(path)
    return sorted(files)


def cut(image: Image.Image) -> Image.Image:
    """The middle square."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def by_pillow(files: list[Path], size: int, threads: int) -> np.ndarray:
    pixels = np.empty((len(files), size, size, 3), np.uint8)

    def one(row: int) -> None:
        with Image.open(files[row]) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        pixels[row] = np.asarray(
            cut(upright).resize((size, size), Image.Resampling.LANCZOS), np.uint8
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(files)), chunksize=64))
    return pixels


def by_folder(root: Path, size: int) -> object:
    from nogs_bench import ImageFolder

    with redirect_stderr(io.StringIO()):
        return ImageFolder(root, size)


def pixels_of(folder: object) -> np.ndarray:
    splits = ("train", "validation", "test", "avp_validation")
    parts = [folder.load(split).images for split in splits]  # type: ignore[attr-defined]
    return np.concatenate(parts).transpose(0, 2, 3, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if (given.width - given.height) % 2:
        parser.error("--width and --height must differ by an even number: the middle is cut out")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name, "images"), Path(name, "cache")
        os.environ["NOGS_BENCH_CACHE"] = str(cache)
        files = write_files(root, given.files, given.width, given.height)
        by_folder(write_tiny(Path(name, "tiny")), given.size)  # what is imported when first used
        ways: dict[str, Callable[[], object]] = {
            f"Pillow, {cores} threads": lambda: by_pillow(files, given.size, cores or 1),
            "Pillow, 1 thread": lambda: by_pillow(files, given.size, 1),
            "ImageFolder": lambda: by_folder(root, given.size),
            "ImageFolder, again": lambda: by_folder(root, given.size),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        processor: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(given.repeats):
            for way, run in ways.items():
                if way == "ImageFolder":
                    shutil.rmtree(cache, ignore_errors=True)
                began, worked = time.perf_counter(), time.process_time()
                run()
                seconds[way].append(time.perf_counter() - began)
                processor[way].append(time.process_time() - worked)
        ours = pixels_of(by_folder(root, given.size))
        theirs = by_pillow(files, given.size, cores or 1)
        same = sorted(map(bytes, ours)) == sorted(map(bytes, theirs))
    medians = {way: median(times) for way, times in seconds.items()}
    first = next(iter(ways))
    ratios, worked_ratios = (
        [a / b for a, b in zip(times["ImageFolder"], times[first], strict=True)]
        for times in (seconds, processor)
    )
    print(
        f"{given.files:,} JPEGs of {given.width} x {given.height} to {given.size} x {given.size}, "
        f"{given.repeats} turns, {cores} cores of {platform.machine()}; seconds"
    )
    for way, times in seconds.items():
        print(f"{way:24} {medians[way]:8.2f}  [{min(times):.2f}, {max(times):.2f}]")
    for what, found in (("time", ratios), ("processor time", worked_ratios)):
        spread = f"[{min(found):.2f}, {max(found):.2f}]"
        print(f"ImageFolder / {first}, {what}: {median(found):.2f}  {spread}")
    print(f"target {TARGET}; pixels are {'the same' if same else 'NOT the same'}")
    record = {
        "files": given.files,
        "shape": [given.height, given.width, given.size],
        "cores": cores,
        "median_seconds": medians,
        "ratio": median(ratios),
        "ratios": ratios,
        "median_processor_seconds": {way: median(times) for way, times in processor.items()},
        "processor_ratio": median(worked_ratios),
        "processor_ratios": worked_ratios,
        "target": TARGET,
        "same_pixels": same,
    }
    print(json.dumps(record))
    if not same:
        sys.exit(1)


def write_tiny(root: Path) -> Path:
    write_files(root, 10 * CLASSES, 32, 32)
    return root


if __name__ == "__main__":
    main()
