"""Stand-ins for the public layouts of CelebA, UTKFace and cub-100, of images made up here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES
from nogs_bench.tasks.families.cub import PARTS

WIDTH, HEIGHT = 40, 60


def striped(number: int) -> np.ndarray:
    """uint8 (60, 40, 3): black above and below, the middle square grey, lighter by the number."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[10:50] = 40 + 20 * number
    return pixels


def write_celeba(folder: Path, count: int) -> Path:
    """Images 1 .. count; image i has the attribute number i - 1 alone."""
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    lines = [str(count), " ".join(ATTRIBUTES) + " "]
    for number in range(1, count + 1):
        Image.fromarray(striped(number)).save(images / f"{number:06}.png")
        values = ["-1"] * len(ATTRIBUTES)
        values[number - 1] = "1"
        lines.append(f"{number:06}.jpg " + "  ".join(values))
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_utkface(folder: Path, said: list[tuple[int, int]]) -> Path:
    """One 200 x 200 face for each (age, gender), grey by its age; and one without a gender."""
    folder.mkdir(parents=True)
    for number, (age, gender) in enumerate(said):
        name = f"{age}_{gender}_{number % 5}_2017010915055{number:04}.jpg.chip.jpg"
        Image.new("RGB", (200, 200), (age, age, age)).save(folder / name)
    Image.new("RGB", (200, 200)).save(folder / "61_1_20170109150557335.jpg.chip.jpg")
    return folder


def write_crops(folder: Path, birds: list[tuple[int, int, int]]) -> Path:
    """Crops of 227 x 227 for each (CUB's number from 1, class from 1, is_training).

    All are white but for a black right half. The beak is at a quarter down, half-way across; the
    tail is hidden, the other parts at the lower right.
    """
    table = ["file,cub_image_id,cub_path,cub_class,is_training,bbox_x,bbox_y,bbox_w,bbox_h"]
    parts = ["file,part,row,col,visible"]
    pixels = np.full((227, 227, 3), 255, np.uint8)
    pixels[:, 114:] = 0
    for number, species, training in birds:
        name = f"images/bird/{number:04}.jpg"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=98)
        table.append(f"{name},{number},a/b.jpg,{species},{training},1.0,2.0,30.0,40.0")
        places = dict.fromkeys(PARTS, "0.75,0.75,1") | {"beak": "0.25,0.5,1", "tail": ",,0"}
        parts += [f"{name},{part},{place}" for part, place in places.items()]
    (folder / "map-to-cub.csv").write_text("\n".join(table) + "\n")
    (folder / "parts.csv").write_text("\n".join(parts) + "\n")
    return folder
