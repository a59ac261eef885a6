"""Which images of a folder come in, into which split, and what is said about the rest."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nogs_bench.errors import NogsError
from nogs_bench.images import ImageFolder, say

SIZE = 4
SPLITS = ("train", "validation", "test", "avp_validation")


@pytest.fixture(autouse=True)
def _said_anew() -> None:
    say.cache_clear()


def draw(path: Path, number: int) -> Path:
    """A picture that no other number has: base 200 digits of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[0, 0] = number % 200, number // 200 % 200, number // 40000
    Image.fromarray(pixels).save(path)
    return path


def fill(root: Path, classes: dict[str, int], first: int = 1) -> Path:
    """A folder with so many distinct images of each class."""
    number = first
    for name, count in classes.items():
        for _ in range(count):
            draw(root / name / f"{number:05}.png", number)
            number += 1
    return root


def numbers(source: ImageFolder, split: str) -> list[int]:
    pixels = source.load(split).images[:, :, 0, 0].astype(int)
    return (pixels @ np.array([1, 200, 40000])).tolist()


def test_each_class_gives_each_split_its_share(tmp_path: Path) -> None:
    """By one permutation of all files 2 of these 10 classes were missing from validation."""
    root = fill(tmp_path / "photos", {f"class-{k}": 10 for k in range(10)})
    source = ImageFolder(root, SIZE)
    assert vars(source.splits) == {
        "train": 60,
        "validation": 10,
        "test": 20,
        "avp_validation": 10,
    }
    for split, each in (("train", 6), ("validation", 1), ("test", 2), ("avp_validation", 1)):
        assert Counter(source.load(split).labels[:, 0].tolist()) == dict.fromkeys(range(10), each)
    assert sorted(n for split in SPLITS for n in numbers(source, split)) == list(range(1, 101))
    assert len(set(source.load("train").labels[:8, 0].tolist())) > 1  # shuffled
    assert numbers(ImageFolder(root, SIZE), "test") == numbers(source, "test")
    assert numbers(ImageFolder(root, SIZE, seed=1), "test") != numbers(source, "test")


def test_a_class_with_too_few_images_is_refused_by_name(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", {"common": 40, "rare": 3})
    with pytest.raises(NogsError, match=r"class rare has too few images \(3 distinct ones\)"):
        ImageFolder(root, SIZE)


def test_nested_folders_come_in_and_what_does_not_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "photos", {"foo": 6, "bar": 6})
    draw(root / "bar" / "2023" / "summer" / "x.png", 500)
    (root / "bar" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "foo" / ".hidden.png").write_bytes(b"")
    (root / "foo" / "Thumbs.db").write_bytes(b"")
    (root / "foo" / ".cache").mkdir()
    (root / "readme.txt").write_text("hello")
    draw(root / "loose.png", 501)
    (root / "foo" / "loop").symlink_to(root / "foo")
    source = ImageFolder(root, SIZE)
    found = sorted(n for split in SPLITS for n in numbers(source, split))
    assert found == [*range(1, 13), 500]
    assert source.load("train").labels.dtype == np.int64
    line = capsys.readouterr().err
    for part in (
        "1 broken link (bar/gone.png)",
        "1 hidden file (foo/.hidden.png)",
        "1 hidden folder (foo/.cache)",
        "2 files that are no images (",
        "1 image in no class (loose.png)",
    ):
        assert part in line
    source.load("test")
    assert "passed over" not in capsys.readouterr().err  # once is enough


def test_a_link_to_a_folder_above_brings_no_other_class_in(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", {"foo": 6, "bar": 6})
    (root / "foo" / "up").symlink_to("..")
    source = ImageFolder(root, SIZE)
    assert sum(len(numbers(source, split)) for split in SPLITS) == 12


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_that_is_called_an_image_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "photos", {"foo": 6, "bar": 6})
    os.mkfifo(root / "foo" / "pipe.png")  # reading it would wait for ever
    ImageFolder(root, SIZE)
    assert "1 file that is no image (foo/pipe.png)" in capsys.readouterr().err


def test_settings_may_be_integers_of_numpy(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", {"foo": 6, "bar": 6})
    numpy = ImageFolder(root, np.int64(SIZE), np.int64(3), seed=np.int64(0))  # type: ignore[arg-type]
    assert numpy == ImageFolder(root, SIZE, 3)
    assert {type(numpy.image_size), type(numpy.channels), type(numpy.seed)} == {int}
    with pytest.raises(NogsError, match="image_size must be an integer, not '32'"):
        ImageFolder(root, "32")  # type: ignore[arg-type]


def test_workers_do_not_repeat_what_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    say("2 hidden files")
    worker = get_context("spawn").Process(target=say, args=("2 hidden files",))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert capfd.readouterr().err.count("2 hidden files") == 1


def test_a_folder_in_a_folder_is_taken_for_it(tmp_path: Path) -> None:
    fill(tmp_path / "birds" / "images", {"auk": 10, "gull": 10})
    (tmp_path / "birds" / "list.csv").write_text("not an image")
    source = ImageFolder(tmp_path / "birds", SIZE)
    assert source.label.classes == ("auk", "gull")
    assert sorted(n for split in SPLITS for n in numbers(source, split)) == list(range(1, 21))
    with pytest.raises(NogsError, match="at least two"):
        ImageFolder(tmp_path / "birds" / "images" / "auk", SIZE)


@pytest.mark.parametrize("validation", ["val", "validation", "Valid"])
def test_a_folder_that_is_divided_is_taken_as_it_is(validation: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    fill(root / "train", {"a": 10, "b": 10})
    fill(root / validation, {"a": 2, "b": 3}, first=100)
    fill(root / "test", {"a": 4, "b": 1}, first=200)
    source = ImageFolder(root, SIZE)
    assert source.label.classes == ("a", "b")
    assert sorted(numbers(source, "validation")) == [100, 101, 102, 103, 104]
    assert sorted(numbers(source, "test")) == [200, 201, 202, 203, 204]
    assert len(numbers(source, "avp_validation")) == 2  # a tenth of train
    drawn = numbers(source, "train") + numbers(source, "avp_validation")
    assert sorted(drawn) == list(range(1, 21))


def test_a_split_that_is_missing_is_drawn_from_train(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 10})
    fill(tmp_path / "test", {"a": 4, "b": 1}, first=200)
    source = ImageFolder(tmp_path, SIZE)
    assert vars(source.splits) == {"train": 16, "validation": 2, "test": 5, "avp_validation": 2}


def test_classes_of_a_divided_folder_must_agree(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 10})
    fill(tmp_path / "test", {"a": 4, "c": 1}, first=200)
    with pytest.raises(NogsError, match="class b is in train and not in test"):
        ImageFolder(tmp_path, SIZE)


def test_classes_called_like_splits_are_classes(tmp_path: Path) -> None:
    source = ImageFolder(fill(tmp_path, {"train": 8, "test": 8}), SIZE)
    assert source.label.classes == ("test", "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: draw(root / "train" / "cover.png", 900), r"\S*cover\.png is in no class"),
        (lambda root: fill(root / "extra", {"a": 4, "b": 4}, 900), "extra is no split"),
        (lambda root: shutil.move(root / "train", root.parent / "x"), "there is no train"),
    ],
)
def test_a_folder_that_is_nearly_divided_is_no_task_about_splits(
    change: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    for number, split in enumerate(("train", "val", "test")):
        fill(root / split, {"a": 5, "b": 5}, first=1 + 100 * number)
    change(root)
    with pytest.raises(
        NogsError, match=f"photos holds .*test.*val, which are splits, but {message}"
    ):
        ImageFolder(root, SIZE)


def test_classes_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="upper and lower case"):
        ImageFolder(fill(tmp_path, {"Owl": 8, "owl": 8}), SIZE)


def test_copies_go_into_one_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every file there twice, 22 of 36 test images were training images."""
    root = fill(tmp_path / "photos", {"a": 30, "b": 30, "c": 30})
    for file in sorted(root.glob("*/*.png")):
        # Other bytes, equal pixels.
        Image.open(file).save(file.with_name(f"copy-{file.stem}.bmp"))
    source = ImageFolder(root, SIZE)
    parts = {split: numbers(source, split) for split in SPLITS}
    for split, found in parts.items():
        assert set(Counter(found).values()) == {2}, split
    assert len(parts["test"]) == 36
    assert sorted(n for part in parts.values() for n in set(part)) == list(range(1, 91))
    assert "90 of 180 images are copies of others" in capsys.readouterr().err


def test_copies_in_a_divided_folder_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 10})
    fill(tmp_path / "val", {"a": 2, "b": 3}, first=100)
    fill(tmp_path / "test", {"a": 4, "b": 4}, first=200)
    shutil.copy(tmp_path / "train" / "b" / "00011.png", tmp_path / "test" / "a")
    source = ImageFolder(tmp_path, SIZE, avp_validation=0.01)
    line = capsys.readouterr().err
    assert 11 in numbers(source, "train")  # and not held out for the AVP
    assert "1 of the 9 images of test are training images too" in line
    assert "1 images are there with two labels" in line


def test_files_that_change_are_decoded_again(tmp_path: Path) -> None:
    """Same names, same sizes in bytes, in one session."""
    root = fill(tmp_path / "photos", {"a": 6, "b": 6})
    files = sorted(root.glob("*/*.png"))
    before = {split: numbers(ImageFolder(root, SIZE), split) for split in SPLITS}
    sizes = [file.stat().st_size for file in files]
    for number, file in enumerate(files):
        time = file.stat().st_mtime_ns
        draw(file, 101 + number)
        os.utime(file, ns=(time, time))  # not even that tells
    assert [file.stat().st_size for file in files] == sizes
    after = {split: numbers(ImageFolder(root, SIZE), split) for split in SPLITS}
    assert {split: [n + 100 for n in found] for split, found in before.items()} == after


def test_what_did_not_change_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nogs_bench.images.folder as folder

    asked: list[str] = []
    read = folder.read_picture

    def noted(path: Path, *rest: object, **options: object) -> object:
        asked.append(path.name)
        return read(path, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "read_picture", noted)
    root = fill(tmp_path / "photos", {"a": 6, "b": 6})
    first = ImageFolder(root, SIZE)
    assert len(asked) == 12
    for split in SPLITS:
        first.load(split)
    ImageFolder(root, SIZE, seed=4)
    assert len(asked) == 12
    draw(root / "b" / "new.png", 77)
    ImageFolder(root, SIZE)
    assert asked[12:] == ["new.png"]


def test_a_broken_file_is_found_at_once_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fill(tmp_path / "photos", {"a": 6, "b": 6})
    bad = root / "b" / "zzz.png"
    bad.write_bytes(b"no image")
    with pytest.raises(NogsError, match=r"zzz\.png cannot be read as an image"):
        ImageFolder(root, SIZE)
    bad.unlink()
    import nogs_bench.images.folder as folder

    monkeypatch.setattr(folder, "read_picture", None)  # everything else is there
    assert sum(vars(ImageFolder(root, SIZE).splits).values()) == 12


def test_large_parts_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nogs_bench.images.cache as cache

    source = ImageFolder(fill(tmp_path, {"a": 6, "b": 6}), SIZE)
    whole = source.load("train").images
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    mapped = source.load("train").images
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, whole)


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fill(tmp_path / "photos", {"a": 6, "b": 6})
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NOGS_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(NogsError, match=r"cannot be written.*NOGS_BENCH_CACHE"):
        ImageFolder(root, SIZE)


def test_a_full_disk_is_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    root = fill(tmp_path / "photos", {"a": 6, "b": 6})
    monkeypatch.setenv("NOGS_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(NogsError, match=r"No space left on device.*NOGS_BENCH_CACHE"):
        ImageFolder(root, SIZE)
    assert not list((tmp_path / "cache").rglob("*images.npy"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"validation": 0.6, "test": 0.5}, "shares above 0 that leave some to train"),
        ({"test": 0.0}, "shares above 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"background": (0, 0, 300)}, "background is"),
        ({"channels": 2}, "channels must be 1 or 3"),
    ],
)
def test_arguments_out_of_range(argument: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=message):
        ImageFolder(tmp_path, SIZE, **argument)
