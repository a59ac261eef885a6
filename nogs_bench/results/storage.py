"""A result as one strict JSON file, of a numbered format; it may come from strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson, parse_json, write_json
from nogs_bench.results.result import FORMAT_VERSION, RunResult
from nogs_bench.results.versions import UPGRADES

MAX_BYTES = 4 * 2**20


def faults(error: ValidationError) -> list[tuple[str, str]]:
    """Each faulty field's path and what is wrong with it."""
    found = []
    for fault in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part)[:60] for part in fault["loc"])
        message = str(fault["msg"])
        if fault["type"] == "value_error":  # of a validator over several fields, which names one
            inner, _, message = message.removeprefix("Value error, ").partition(": ")
            field = f"{field}.{inner}" if field else inner
        found.append((field, message))
    return found


def first_fault(error: ValidationError) -> str:
    """The first faulty field's path and what is wrong with it, in one line."""
    return ": ".join(part for part in faults(error)[0] if part)


def save_result(result: RunResult, folder: Path) -> Path:
    """Write `result` into `folder` under its own name, whole or not at all. Returns the path."""
    path = folder / f"{result.name}.json"
    # What has a default is what an older format does not know.
    write_json(path, result.model_dump(mode="json", exclude_defaults=True))
    return path


def load_result(path: Path) -> RunResult:
    """The result in `path`, of any format version. Raises `NogsError` with the first faulty field,
    in one line."""
    try:
        result = parse_result(read_bytes(path))
    except ValidationError as error:
        raise NogsError(f"{path} is no valid result: {first_fault(error)}") from error
    except MalformedJson as error:
        raise NogsError(f"{path} is no valid result: {error}") from error
    if path.name != f"{result.name}.json":
        raise NogsError(f"{path} holds the run {result.name}; name it {result.name}.json")
    return result


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises `NogsError`, before reading, if it is larger than any result."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise NogsError(
                f"{path} is no valid result: file: {size:,} bytes, more than {MAX_BYTES:,}"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise NogsError(f"no result file {path}") from None


def parse_result(raw: bytes) -> RunResult:
    """The result that `raw` says. Raises `MalformedJson` or pydantic's `ValidationError`."""
    content = parse_json(raw)
    upgraded = _upgraded(content)
    return RunResult.model_validate_json(
        raw if upgraded is content else json.dumps(upgraded).encode()
    )


def parse_content(content: Any) -> RunResult:
    """The result whose plain JSON value is `content`, of any format version."""
    return RunResult.model_validate_json(json.dumps(_upgraded(content)).encode())


def _upgraded(content: Any) -> Any:
    while isinstance(content, dict) and type(version := content.get("format_version")) is int:
        if version > FORMAT_VERSION:
            raise MalformedJson(
                "format_version",
                f"{version} is of a newer nogs-bench than this, which knows {FORMAT_VERSION}; "
                "update it",
            )
        if version not in UPGRADES:
            break
        content = UPGRADES[version](content)
    return content
