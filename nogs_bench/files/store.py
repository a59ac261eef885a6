"""Folders in object stores and on other machines, through fsspec: `s3://`, `hf://`, `memory://`.

A build mirrors what it finishes to a store, from which another machine goes on; images and datasets
in one are copied to this machine before they are read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import replacing, write_json

INDEX = ".store.json"


def is_url(where: object) -> bool:
    """Whether something names a place in a store rather than a path."""
    return isinstance(where, str) and "://" in where


@dataclass(frozen=True)
class Mirror:
    """A folder whose finished files are in a store too, under the same names; picklable.

    - `url`: None where there is no store: then nothing is copied.
    Methods raise `NogsError` if the store cannot be used.
    """

    folder: Path
    url: str | None = None

    def push(self, *paths: Path) -> None:
        """Copy files of the folder to the store, in this order."""
        if self.url is None:
            return
        with _using(self.url) as (fs, root):
            for path in paths:
                name = self._name(root, path)
                if "file" in fs.protocol:  # others have no folders to make
                    fs.makedirs(name.rpartition("/")[0], exist_ok=True)
                fs.put_file(str(path), name)

    def pull(self, *paths: Path) -> bool:
        """Copy files from the store to the folder, each whole; whether all were there."""
        if self.url is None:
            return False
        with _using(self.url) as (fs, root):
            for path in paths:
                name = self._name(root, path)
                if not fs.exists(name):
                    return False
                with replacing(path) as temporary:
                    fs.get_file(name, str(temporary))
        return True

    def drop(self, folder: Path) -> None:
        """Remove a folder of the folder from the store, if it is there."""
        if self.url is None:
            return
        with _using(self.url) as (fs, root):
            fs.invalidate_cache()
            if found := fs.find(self._name(root, folder)):
                fs.rm(found)

    def held(self, folder: Path) -> set[str]:
        """Names of the files that the store has of the folder, or of one in it, and below."""
        if self.url is None:
            return set()
        with _using(self.url) as (fs, root):
            fs.invalidate_cache()
            name = self._name(root, folder)
            return {PurePosixPath(file).name for file in fs.find(name)}

    def _name(self, root: str, path: Path) -> str:
        return "/".join([root.rstrip("/"), *path.relative_to(self.folder).parts])


def check_store(url: str) -> None:
    """Raise `NogsError` unless a file can be written to and read from the store."""
    with _using(url) as (fs, root):
        name = f"{root.rstrip('/')}/.nogs-bench"
        if "file" in fs.protocol:
            fs.makedirs(root, exist_ok=True)
        fs.pipe_file(name, b"1")
        fs.rm_file(name)


def cache_folder() -> Path:
    """Where what can be made again is kept: `NOGS_BENCH_CACHE`, or `nogs-bench` in the user's
    cache (`XDG_CACHE_HOME`, or `~/.cache`)."""
    named = os.environ.get("NOGS_BENCH_CACHE")
    common = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named).expanduser() if named else Path(common, "nogs-bench").expanduser()


def fetched(url: str) -> Path:
    """A folder of a store, copied to this machine's cache; what is there unchanged is not copied.

    Raises `NogsError` if there is none, or a name in it leads out of the folder.
    """
    folder = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:32]
    index = folder / INDEX
    known = json.loads(index.read_text()) if index.is_file() else {}
    with _using(url) as (fs, root):
        fs.invalidate_cache()
        found = fs.find(root, detail=True)
        if not found:
            raise NogsError(f"{url} holds no files")
        files = {
            _inside(name, root, url): (name, _version(fs, name, found[name])) for name in found
        }
        for relative, (name, version) in files.items():
            path = folder / relative
            if known.get(relative) != version or not path.is_file():
                with replacing(path) as temporary:
                    fs.get_file(name, str(temporary))
                write_json(index, known := known | {relative: version})
    for relative in known.keys() - files.keys():
        (folder / relative).unlink(missing_ok=True)
    return folder


def _inside(name: str, root: str, url: str) -> str:
    relative = PurePosixPath(name).relative_to(PurePosixPath(root))
    if ".." in relative.parts or relative.is_absolute() or relative.name == INDEX:
        raise NogsError(f"{url}: the name {name} leads out of its folder")
    return relative.as_posix()


def _version(fs: Any, name: str, info: dict[str, Any]) -> str:
    """What changes when the file does."""
    tag = next((str(info[key]) for key in ("ETag", "blob_id", "oid", "mtime") if key in info), "")
    return f"{info.get('size')} {tag or fs.ukey(name)}"


@contextmanager
def _using(url: str) -> Iterator[tuple[Any, str]]:
    """The store's file system and the path in it; its errors become one line."""
    try:
        from fsspec.core import url_to_fs

        yield url_to_fs(url)
    except (NogsError, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise NogsError(f"{url}: {error}; pip install 'nogs-bench[s3]' brings S3's") from error
    except Exception as error:  # each store has errors of its own
        raise NogsError(f"{url} cannot be used: {type(error).__name__}: {error}") from error
