"""`prepare` of CelebA's first images, UTKFace and cub-100, from made-up and from real folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cub_folder import write_cub
from nogs_bench.builders.prepare import prepare
from nogs_bench.builders.prepare.cub_100 import tight_box
from nogs_bench.builders.prepare.cub_layout import cut_boxes
from nogs_bench.builders.released.archive import read_released
from nogs_bench.errors import NogsError
from nogs_bench.images import Splits
from nogs_bench.tasks import get_task
from nogs_bench.tasks.families.celeba_10k import POSITIVES
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ
from nogs_bench.tasks.families.cub_100 import SPECIES
from nogs_bench.tasks.families.cub_species import SPECIES as ALL_SPECIES
from photo_folders import write_celeba, write_crops, write_utkface
from places import SHARED

PHOTOS = SHARED / "photos"
RELEASED = SHARED / "released" / "optimal-sequences.tar.gz"
FIVE = Splits(train=2, validation=1, test=1, avp_validation=1)
FIRST = [ALL_SPECIES.index(name) + 1 for name in SPECIES[:3]]
CROPS = [(9, FIRST[2], 1), (2, FIRST[0], 1), (5, FIRST[1], 0), (7, FIRST[1], 1)]


def test_celeba_is_cut_to_its_middle_square_and_divided_by_number(tmp_path: Path) -> None:
    source = get_task("celeba-10k-smiling").source
    # The sixth image is more than is asked for.
    folder = write_celeba(tmp_path / "celeba", 6)
    out = prepare("celeba-10k", folder, tmp_path / "out", splits=FIVE, workers=1)
    train = source.load("train", out)
    assert train.images.shape == (2, 3, 88, 88)
    for row in range(2):
        # Away from the square's own edge, which the filter reaches across.
        assert set(np.unique(train.images[row, :, 6:-6])) == {40 + 20 * (row + 1)}
    rows = {"train": [0, 1], "validation": [2], "test": [3], "avp_validation": [4]}
    for split, attributes in rows.items():
        labels = source.load(split, out).labels
        assert labels.argmax(1).tolist() == attributes
        assert labels.sum(1).tolist() == [1] * len(attributes)
    assert np.load(out / "numbers.npy").tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("saved", [("\ufeff", "\n"), ("", "\r\n")])
def test_tables_that_an_editor_saved_are_read_as_they_were(
    saved: tuple[str, str], tmp_path: Path
) -> None:
    """With a byte order mark, or the ends of lines of Windows."""
    found = []
    for edited in (False, True):
        folder = tmp_path / str(edited)
        paths = (
            write_celeba(folder / "faces", 5) / "list_attr_celeba.txt",
            write_cub(folder / "birds") / "images.txt",
            write_crops(folder / "crops", CROPS) / "map-to-cub.csv",
        )
        for path in paths if edited else ():
            mark, end = saved
            path.write_bytes(f"{mark}{path.read_text()}".replace("\n", end).encode())
        pair = Splits(train=1, validation=1, test=0, avp_validation=1)
        jobs = (
            ("celeba-10k", "faces", FIVE),
            ("cub-100", "birds", pair),
            ("cub-100", "crops", FIVE),
        )
        for name, source, splits in jobs:
            out = folder / f"{source}-out"
            prepare(name, folder / source, out, splits=splits, workers=1)
            found.append((np.load(out / "labels.npy").tolist(), np.load(out / "numbers.npy")))
    for (labels, numbers), (others, their) in zip(found[:3], found[3:], strict=True):
        assert labels == others
        assert numbers.tolist() == their.tolist()


def test_kaggles_celeba_is_the_same(tmp_path: Path) -> None:
    """Its images lie one folder deeper, its table has commas and one line of names."""
    own, other = write_celeba(tmp_path / "own", 5), write_celeba(tmp_path / "kaggle", 5)
    (other / "img_align_celeba").rename(other / "images")
    (other / "img_align_celeba").mkdir()
    (other / "images").rename(other / "img_align_celeba" / "img_align_celeba")
    table = other / "list_attr_celeba.txt"
    _, names, *rows = [line.split() for line in table.read_text().splitlines()]
    table.unlink()
    lines = [",".join(row) for row in (["image_id", *names], *rows)]
    (other / "list_attr_celeba.csv").write_text("\n".join(lines) + "\n")
    outs = [
        prepare("celeba-10k", folder, folder / "out", splits=FIVE, workers=1)
        for folder in (own, other)
    ]
    for name in ("images.npy", "labels.npy", "numbers.npy"):
        assert outs[0].joinpath(name).read_bytes() == outs[1].joinpath(name).read_bytes()


def test_celeba_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_celeba(tmp_path / "celeba", 5)
    with pytest.raises(NogsError, match=r"has 5 images, expected 10,000"):
        prepare("celeba-10k", folder, tmp_path / "out")
    (folder / "img_align_celeba" / "000003.png").unlink()
    with pytest.raises(NogsError, match=r"has no image 000003\.jpg; give the folder"):
        prepare("celeba-10k", folder, tmp_path / "out", splits=FIVE)
    (folder / "list_attr_celeba.txt").unlink()
    with pytest.raises(NogsError, match=r"no label file.*list_attr_celeba\.txt"):
        prepare("celeba-10k", folder, tmp_path / "out", splits=FIVE)


def test_utkface_reads_age_and_gender_of_names(tmp_path: Path) -> None:
    said = [(1, 0), (17, 1), (18, 0), (44, 1), (45, 1), (59, 0), (60, 0), (116, 1)]
    groups = {1: 0, 17: 0, 18: 1, 44: 2, 45: 3, 59: 3, 60: 4, 116: 4}
    folder = write_utkface(tmp_path / "faces", said)
    splits = Splits(train=4, validation=2, test=1, avp_validation=1)
    out = prepare("utkface", folder, tmp_path / "out", splits=splits, workers=1)
    source, found = get_task("utkface-age").source, {}
    for split in vars(splits):
        rows = source.load(split, out)
        assert len(rows) == getattr(splits, split)
        for image, labels in zip(rows.images, rows.labels, strict=True):
            # JPEG keeps a grey to within one of 255.
            age = min(groups, key=lambda each: abs(each - int(image[0, 112, 112])))
            found[age] = tuple(labels.tolist())
    assert found == {age: (gender, groups[age]) for age, gender in said}
    with pytest.raises(NogsError, match="has 8 faces named AGE_GENDER_RACE_DATE"):
        prepare("utkface", folder, tmp_path / "other")


def test_crops_of_birds_go_by_cubs_order_and_official_split(tmp_path: Path) -> None:
    folder = write_crops(tmp_path / "birds", CROPS)
    out = prepare("cub-100", folder, tmp_path / "out", splits=FIVE, workers=1)
    source = get_task("cub-100").source
    # Of the training images 2, 7 and 9 the first and the last are annotated, and 7 is held out.
    assert np.load(out / "numbers.npy").tolist() == [1, 8, 6, 4]
    assert source.load("train", out).labels[:, 0].tolist() == [0, 2]
    assert source.load("validation", out).labels[:, 0].tolist() == [1]
    assert source.load("avp_validation", out).labels[:, 0].tolist() == [1]
    parts = source.load_parts("train", out)  # type: ignore[attr-defined]
    np.testing.assert_allclose(parts[0, 1], [32, 64, 1])
    assert parts[0, :, 2].tolist() == [1] * 13 + [0, 1]
    assert source.load("test", out).images[0, :, 64, [10, 118]].tolist() == [[255] * 3, [0] * 3]
    rows = (folder / "map-to-cub.csv").read_text()
    (folder / "map-to-cub.csv").write_text(rows.replace(f",{FIRST[1]},0,", ",2,0,"))
    with pytest.raises(NogsError, match=r"line 4: .*not cub-100's"):
        prepare("cub-100", folder, tmp_path / "other", splits=FIVE)


def test_birds_of_caltechs_folder_are_cut_tightly(tmp_path: Path) -> None:
    folder = write_cub(tmp_path / "CUB_200_2011")
    # Its images 1 .. 6 are of species 1 .. 6, of which 1 and 4 are among the hundred.
    splits = Splits(train=1, validation=1, test=0, avp_validation=1)
    out = prepare("cub-100", folder, tmp_path / "out", splits=splits, workers=1)
    source = get_task("cub-100").source
    assert np.load(out / "numbers.npy").tolist() == [0, 3]
    # The box is bright from edge to edge, though it is twice as wide as high.
    assert source.load("train", out).images.min() > 150
    # (81, 41) in the box of 40 x 20 at (60, 30).
    parts = source.load_parts("train", out)  # type: ignore[attr-defined]
    np.testing.assert_allclose(parts[0, 1], [11 * 128 / 20, 21 * 128 / 40, 1], rtol=1e-6)


def test_tight_box_stays_inside_the_image(tmp_path: Path) -> None:
    assert tight_box(np.array([-2.0, 3.4, 20.0, 10.0]), (15, 12)) == (0, 3, 15, 12)
    Image.new("RGB", (15, 12)).save(tmp_path / "bird.png")
    with pytest.raises(NogsError, match=r"bird\.png: a bounding box .* outside its image of"):
        cut_boxes(tight_box, np.array([[20.0, 3.0, 5.0, 5.0]]), [tmp_path / "bird.png"])


HQ_LABELS = SHARED / "released" / "celeba-hq-attributes.txt.gz"


@pytest.mark.skipif(not PHOTOS.exists(), reason="the photographs are not here")
def test_the_celeba_hq_images_at_hand_keep_their_numbers(tmp_path: Path) -> None:
    folder = PHOTOS / "celeba-hq"
    with pytest.raises(NogsError, match=r"122 images.*image 0 is missing; --partial keeps what"):
        prepare("celeba-hq", folder, tmp_path / "out", labels=HQ_LABELS)
    out = prepare("celeba-hq", folder, tmp_path / "out", labels=HQ_LABELS, partial=True)
    record = json.loads((out / "prepared.json").read_text())
    assert record["partial"] == {"found": 122, "of": 30_000}
    numbers = np.load(out / "numbers.npy").tolist()
    assert numbers == sorted(int(path.stem) for path in folder.glob("*.jpg"))
    lines = gzip.decompress(HQ_LABELS.read_bytes()).decode().splitlines()
    labels = [[int(v == "1") for v in lines[number].split()[1:]] for number in numbers]
    assert np.load(out / "labels.npy").tolist() == labels
    source, first = get_task("celeba-hq-smiling").source, sum(n < 27_000 for n in numbers)
    assert len(source.load("train", out)) == first
    assert source.load("test", out).labels.tolist() == [
        row for row, number in zip(labels, numbers, strict=True) if number >= 27_500
    ]
    with Image.open(folder / f"{numbers[0]:05}.jpg") as image:
        plain = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BOX), int)
    kept = np.load(out / "images.npy", mmap_mode="r")[0].transpose(1, 2, 0)
    assert np.abs(kept - plain).mean() < 4


@pytest.mark.skipif(not RELEASED.exists(), reason="the authors' sequences are not here")
def test_released_sequences_look_where_attributes_are(tmp_path: Path) -> None:
    """CelebA-HQ's faces are aligned: at 224 x 224 eyes lie in rows 90 .. 120, mouths in 140 .. 180,
    hair above 75. Of the images at hand that were annotated."""
    numbers = sorted(int(path.stem) for path in (PHOTOS / "celeba-hq").glob("*.jpg"))
    rows = [number for number in numbers if number < 600]
    assert rows[:3] == [234, 258, 264]
    middle = read_released(RELEASED).celeba[:, rows] + 8
    names = [task.labels[task.target].name for task in CELEBA_HQ]

    def share(attribute: str, top: int, bottom: int, left: int = 60, right: int = 164) -> float:
        row, col = np.moveaxis(middle[names.index(attribute)], -1, 0)
        inside = (row >= top) & (row < bottom) & (col >= left) & (col < right)
        return float(inside.any(-1).mean())

    mouth, eyes, hair = (140, 185), (85, 125), (0, 75, 0, 224)
    for attribute, place, other in (
        ("Mouth_Slightly_Open", mouth, hair),
        ("Smiling", mouth, hair),
        ("Mustache", mouth, hair),
        ("Eyeglasses", eyes, mouth),
        ("Narrow_Eyes", eyes, mouth),
        ("Bangs", hair, mouth),
    ):
        assert share(attribute, *place) > share(attribute, *other), attribute


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("celeba-10k", "partial", True),
        ("celeba-10k", "in_order", True),
        ("celeba-10k", "exclude", "list.txt"),
        ("celeba-hq", "exclude", "list.txt"),
        ("utkface", "labels", "labels.txt"),
        ("cub", "labels", "labels.txt"),
        ("cub-100", "exclude", "list.txt"),
    ],
)
def test_an_option_that_would_not_be_read_is_refused(
    tmp_path: Path, name: str, option: str, value: object
) -> None:
    said = f"--{option.replace('_', '-')}: {name} has no use for it; leave it out"
    with pytest.raises(NogsError, match=f"^{said}$"):
        prepare(name, tmp_path, tmp_path / "out", **{option: value})
    assert list(tmp_path.iterdir()) == []


HEAD = "file,cub_image_id,cub_class,is_training"
PLACES = "file,part,row,col,visible"
DAMAGED = {
    "map-to-cub.csv, line 2: expected file, cub_image_id": (f"{HEAD}\na.jpg,1\n", PLACES),
    "map-to-cub.csv, line 2: image 1, class 0, is_": (f"{HEAD}\na.jpg,1,0,1\n", PLACES),
    "map-to-cub.csv, line 2: image 1, class -1, is_": (f"{HEAD}\na.jpg,1,-1,1\n", PLACES),
    "map-to-cub.csv, line 2: image 0, class 1, is_": (f"{HEAD}\na.jpg,0,1,1\n", PLACES),
    "class 1, is_training 2 is not": (f"{HEAD}\na.jpg,1,1,2\n", PLACES),
    "map-to-cub.csv names an image": (f"{HEAD}\na.jpg,1,1,1\na.jpg,2,1,1\n", PLACES),
    "map-to-cub.csv is damaged": (f"{HEAD}\n\udcff.jpg,1,1,1\n", PLACES),
    "parts.csv, line 2: expected file, part": (f"{HEAD}\na.jpg,1,1,1\n", f"{PLACES}\na.jpg,back\n"),
    "parts.csv, line 2: no such": (f"{HEAD}\na.jpg,1,1,1\n", f"{PLACES}\na.jpg,back,inf,0,1\n"),
    "parts.csv, line 2: no such image or part, or a place that is no share": (
        f"{HEAD}\na.jpg,1,1,1\n",
        f"{PLACES}\na.jpg,back,113,40,1\n",
    ),
    "parts.csv, line 3: no such": (
        f"{HEAD}\na.jpg,1,1,1\n",
        f"{PLACES}\na.jpg,back,1,0,1\na.jpg,back,1,0,2\n",
    ),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_tables_of_crops_are_named_with_their_line(tmp_path: Path, fault: str) -> None:
    for name, text in zip(("map-to-cub.csv", "parts.csv"), DAMAGED[fault], strict=True):
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(NogsError, match=fault):
        prepare("cub-100", tmp_path, tmp_path / "out")


def test_a_crop_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = write_crops(tmp_path / "birds", CROPS)
    file = (folder / "map-to-cub.csv").read_text().splitlines()[1].split(",")[0]
    (folder / file).unlink()
    with pytest.raises(NogsError, match=rf"{file} is missing \(1 are\); give the whole folder"):
        prepare("cub-100", folder, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="the photographs are not here")
def test_the_real_celeba_has_the_tasks_positives(tmp_path: Path) -> None:
    out = prepare("celeba-10k", PHOTOS / "celeba", tmp_path / "out")
    labels = np.load(out / "labels.npy")
    assert labels.sum(0).tolist() == list(POSITIVES)
    # 89 x 109 in the public layout here: the middle 89 rows, 10 .. 98, resized to 88.
    with Image.open(PHOTOS / "celeba" / "img_align_celeba" / "000017.jpg") as image:
        square = image.convert("RGB").crop((0, 10, 89, 99))
        middle = square.resize((88, 88), Image.Resampling.LANCZOS)
    kept = np.load(out / "images.npy", mmap_mode="r")[16].transpose(1, 2, 0).astype(int)
    assert np.abs(kept - np.asarray(middle, int)).mean() < 1


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="the photographs are not here")
def test_the_real_birds_are_the_tasks(tmp_path: Path) -> None:
    out = prepare("cub-100", PHOTOS / "cub-100", tmp_path / "out")
    record = json.loads((out / "prepared.json").read_text())
    assert record["splits"]["test"] == [2_999, 5_902]
    labels = np.load(out / "labels.npy")[:, 0]
    assert np.bincount(labels[:2_999], minlength=100).min() == 29
