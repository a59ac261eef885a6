"""A stand-in for CUB_200_2011: six images in Caltech's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nogs_bench.tasks.families.cub_species import SPECIES

COUNT, WIDTH, HEIGHT = 6, 160, 120


def write_cub(folder: Path) -> Path:
    """Images 160 x 120, dark but for a box of brightness 200 at (60, 30), 40 wide and 20 high.

    Images 1-4 train, 5 and 6 test; image i is of species i and has attribute i alone. Part 2, the
    beak, is at x = 81, y = 41; part 6 is hidden; the others at the box's corner.
    """
    names = [f"{i + 1:03}.{SPECIES[i]}/bird_{i}.jpg" for i in range(COUNT)]
    pixels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    pixels[30:50, 60:100] = 200
    for name in names:
        path = folder / "images" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path, quality=98)
    ids = range(1, COUNT + 1)
    part = {2: "81.0 41.0 1", 6: "0.0 0.0 0"}
    lines = {
        "images.txt": [f"{i} {name}" for i, name in zip(ids, names, strict=True)],
        "classes.txt": [f"{i} {i:03}.{name}" for i, name in enumerate(SPECIES, 1)],
        "train_test_split.txt": [f"{i} {int(i <= 4)}" for i in ids],
        "image_class_labels.txt": [f"{i} {i}" for i in ids],
        "bounding_boxes.txt": [f"{i} 60.0 30.0 40.0 20.0" for i in ids],
        "attributes/image_attribute_labels.txt": [
            f"{i} {a} {int(a == i)} 3 1.0" + (" 0" if i == 2 else "")
            for i in ids
            for a in range(1, 313)
        ],
        "parts/part_locs.txt": [
            f"{i} {p} {part.get(p, '60.0 30.0 1')}" for i in ids for p in range(1, 16)
        ],
    }
    for name, text in lines.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(text) + "\n")
    return folder
