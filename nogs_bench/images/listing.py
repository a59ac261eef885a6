"""Which files of a folder are labelled images, and what was passed over and why."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import parent_process
from pathlib import Path

from nogs_bench.errors import NogsError

# As people call the folders of a dataset that is divided already.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "avp_validation": "avp_validation",
}
# Images beside the classes of a split, up to which it is still taken for a split.
STRAYS = 3
NOT_PICTURES = (".pdf", ".eps", ".ps", ".wmf", ".emf", ".bufr", ".grib", ".h5", ".hdf", ".mpg")
PLURALS = {
    "broken link": "broken links",
    "hidden file": "hidden files",
    "hidden folder": "hidden folders",
    "file that is no image": "files that are no images",
    "image in no class": "images in no class",
    "folder without images": "folders without images",
}


@dataclass(frozen=True)
class Listed:
    """An image file: its path, its class, and its split where the folder is divided already."""

    path: Path
    label: str
    split: str | None = None


@dataclass
class Listing:
    """All images of a folder, and what else is there.

    - `root`: the folder.
    - `files`: by split, class and path, in that order.
    - `classes`: names, in alphabetical order.
    - `passed_over`: paths by why.
    """

    root: Path
    files: list[Listed] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    passed_over: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    @property
    def splits(self) -> list[str]:
        """Those that the folder is divided into already."""
        return list(dict.fromkeys(file.split for file in self.files if file.split))

    def account(self) -> str | None:
        """What was passed over, in one line; None if nothing was."""
        parts = []
        for why, paths in self.passed_over.items():
            count = f"1 {why}" if len(paths) == 1 else f"{len(paths):,} {PLURALS[why]}"
            parts.append(f"{count} ({paths[0].relative_to(self.root)})")
        return f"{self.root}: passed over {', '.join(parts)}" if parts else None


def list_images(root: Path) -> Listing:
    """The images of `ROOT/CLASS/**`, or of `ROOT/SPLIT/CLASS/**` where it is divided already.

    A folder whose only subfolder holds these does as well. A folder is divided if its subfolders
    with images are called train and validation (or val, valid, dev) or test, and train holds
    folders of classes alone. Symbolic links are followed. Raises `NogsError` if the folder or a
    class is missing or empty, two classes differ in nothing but upper and lower case, or a class is
    in one split alone.
    """
    if not root.is_dir():
        raise NogsError(f"no folder of images {root}; it must hold one subfolder for each class")
    listing = Listing(root)
    folders, top = _folders(root, listing), root
    while len(folders) == 1:  # as an archive is unpacked
        top = folders[0]
        folders = _folders(top, listing)
    if len(folders) < 2:
        raise NogsError(f"{root} must hold one subfolder for each class, at least two")
    found = {folder: sorted(_walk(folder, listing)) for folder in folders}
    if _is_divided(found):
        _list_splits(found, listing)
    else:
        _list_classes(top, found, None, listing)
    listing.classes = tuple(sorted({file.label for file in listing.files}))
    if len(listing.classes) < 2:
        raise NogsError(f"{root} must hold images of two classes at least, each in its folder")
    return listing


def list_pictures(root: Path) -> Listing:
    """Every image in a folder and below, by path, without classes. Raises `NogsError` if there is
    none."""
    if not root.is_dir():
        raise NogsError(f"no folder of images {root}")
    listing = Listing(root)
    listing.files = [Listed(path, "") for path in sorted(_walk(root, listing))]
    if not listing.files:
        raise NogsError(f"{root} holds no images (.png, .jpg, .webp, .tif, ...)")
    return listing


@cache
def picture_suffixes() -> frozenset[str]:
    """Suffixes of files that Pillow decodes by itself, in lower case."""
    from PIL import Image

    return frozenset(Image.registered_extensions()) - frozenset(NOT_PICTURES)


@cache
def say(line: str) -> None:
    """Print `line` on standard error, once in a process; its workers do not repeat it."""
    if parent_process() is None:
        print(line, file=sys.stderr)


def _folders(root: Path, listing: Listing) -> list[Path]:
    """Visible subfolders; what else is there is noted."""
    folders = []
    for path in sorted(root.iterdir()):
        why = _why_not(path)
        if path.is_dir() and not _hidden(path.name):
            folders.append(path)
        else:
            listing.passed_over[why or "image in no class"].append(path)
    return folders


def _why_not(path: Path) -> str | None:
    """Why a path that is no folder is no image; None if it is one."""
    if _hidden(path.name):
        return "hidden folder" if path.is_dir() else "hidden file"
    if path.is_symlink() and not path.exists():
        return "broken link"
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() in picture_suffixes()):
        return "file that is no image"
    return None


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def refuse_unread(error: OSError) -> None:
    """For `os.walk`, which passes over folders that it may not read."""
    raise NogsError(
        f"{error.filename} cannot be read ({error.strerror}); make it readable, or move it away"
    ) from error


def _walk(folder: Path, listing: Listing) -> Iterator[Path]:
    """Image files in `folder` and below, each folder once however many links lead to it.

    A link to a folder above is not followed: other classes' images lie there.
    """
    seen = {str(above) for above in Path(os.path.realpath(folder)).parents}
    for place, folders, files in os.walk(folder, onerror=refuse_unread, followlinks=True):
        here = os.path.realpath(place)
        if here in seen:
            folders[:] = []
            continue
        seen.add(here)
        hidden = sorted(name for name in folders if _hidden(name))
        for name in hidden:
            listing.passed_over["hidden folder"].append(Path(place, name))
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(files):
            path = Path(place, name)
            why = _why_not(path)
            if why is None:
                yield path
            else:
                listing.passed_over[why].append(path)


def _is_divided(found: dict[Path, list[Path]]) -> bool:
    """Whether the folders are splits. Raises `NogsError` if they nearly are, and what keeps them
    from it."""
    full = {folder.name.lower(): folder for folder, files in found.items() if files}
    splits = {name: SPLIT_NAMES[name] for name in full if name in SPLIT_NAMES}
    flat = {
        name: [path for path in found[full[name]] if path.parent == full[name]] for name in splits
    }
    train = [name for name, split in splits.items() if split == "train"]
    if len(splits) == len(full) > 1 and len(train) == 1 and not flat[train[0]]:
        return True
    # Taken as classes, folders of folders called like splits would make a task of telling these.
    nested = [n for n in splits if len(flat[n]) <= min(STRAYS, len(found[full[n]]) - 1)]
    if len(nested) < 2:
        return False
    if others := sorted(full.keys() - splits.keys()):
        fault = f"{full[others[0]].name} is no split; move it away"
    elif len(train) == 1:
        fault = f"{flat[train[0]][0]} is in no class; move it into one, or away"
    else:
        fault = "two of them are train; keep one" if train else "there is no train; add it"
    root = full[nested[0]].parent
    raise NogsError(f"{root} holds {', '.join(sorted(nested))}, which are splits, but {fault}")


def _list_splits(found: dict[Path, list[Path]], listing: Listing) -> None:
    for folder, files in found.items():
        if not files:
            listing.passed_over["folder without images"].append(folder)
            continue
        split = SPLIT_NAMES[folder.name.lower()]
        if split in listing.splits:
            raise NogsError(f"{listing.root} has two folders of the split {split}; keep one")
        parts: dict[Path, list[Path]] = defaultdict(list)
        for path in files:
            inside = path.relative_to(folder).parts
            if len(inside) == 1:
                listing.passed_over["image in no class"].append(path)
            else:
                parts[folder / inside[0]].append(path)
        _list_classes(folder, dict(parts), split, listing)
    by_split = {s: {f.label for f in listing.files if f.split == s} for s in listing.splits}
    for split, labels in by_split.items():
        for label in sorted(by_split["train"] ^ labels):
            have, lack = ("train", split) if label in by_split["train"] else (split, "train")
            raise NogsError(
                f"{listing.root}: class {label} is in {have} and not in {lack}; add images of it "
                "there, or remove it"
            )


def _list_classes(
    root: Path, found: dict[Path, list[Path]], split: str | None, listing: Listing
) -> None:
    names: dict[str, Path] = {}
    for folder, files in sorted(found.items()):
        if not files:
            raise NogsError(f"{folder} holds no images; add some, or remove the folder")
        other = names.setdefault(folder.name.casefold(), folder)
        if other != folder:
            raise NogsError(
                f"{other} and {folder} are two classes that differ in nothing but upper and lower "
                "case; make them one, or rename one"
            )
        listing.files += [Listed(path, folder.name, split) for path in files]
