"""JSON from strangers: bounded in size and depth, no key twice, faults named by their field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

PATH_PARTS = 6
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.S)
_PLACE = re.compile(r" at line (\d+) column (\d+)$")


class MalformedJson(ValueError):
    """Text that is no acceptable JSON: `field` is the path where that shows, "" for the whole."""

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}" if field else message)
        self.field, self.message = field, message


def parse_json(raw: bytes) -> Any:
    """The value that `raw` says. Raises `MalformedJson`.

    Refused are what is not JSON in UTF-8, nesting some 200 levels deep, and an object that has a
    key twice. NaN and infinities come through, for the model to refuse with the field's path.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        field = _field_at(raw[: error.start].decode("utf-8"), error.start)
        raise MalformedJson(field, "not UTF-8 text") from None
    try:
        value = from_json(raw)
    except ValueError as error:
        raise _malformed(text, str(error)) from None
    seen = _Duplicates()
    # Numbers are read above; as floats here, whatever their length.
    json.loads(text, object_pairs_hook=seen, parse_int=float)
    if seen.key is not None:
        field = next(token.field for token in _tokens(text) if token.repeated)
        raise MalformedJson(field, "given more than once")
    return value


class _Duplicates:
    """A hook that notes the first key that an object has twice."""

    key: str | None = None

    def __call__(self, pairs: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in pairs]
        if self.key is None and len(set(keys)) < len(keys):
            self.key = next(key for key in keys if keys.count(key) > 1)


@dataclass(frozen=True)
class _Token:
    end: int
    field: str
    repeated: bool


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens of JSON, as far as it is any, with the path of the field that each belongs to."""
    path: list[str | int] = []
    keys: list[set[str] | None] = []
    expecting_key = False
    for match in _TOKEN.finditer(text):
        token, repeated = match[0], False
        if token in "{[":
            path.append("" if token == "{" else 0)
            keys.append(set() if token == "{" else None)
            expecting_key = token == "{"
        elif token in "}]" and path:
            path.pop()
            keys.pop()
            expecting_key = False
        elif token == "," and path:
            last = path[-1]
            expecting_key = not isinstance(last, int)
            path[-1] = last + 1 if isinstance(last, int) else ""
        elif expecting_key and token[0] == '"':
            path[-1], known = _unquoted(token), keys[-1]
            repeated = known is not None and path[-1] in known
            if known is not None:
                known.add(str(path[-1]))
            expecting_key = False
        parts = [str(part) for part in path[:PATH_PARTS] if part != ""]
        yield _Token(match.end(), ".".join(parts), repeated)


def _unquoted(token: str) -> str:
    try:
        text = str(json.loads(token))
    except ValueError:
        text = token.strip('"')
    # A message may be printed: no lone surrogates, nothing that moves a terminal's cursor.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _field_at(text: str, offset: int) -> str:
    field = ""
    for token in _tokens(text):
        field = token.field or field
        if token.end >= offset:
            break
    return field


def _malformed(text: str, message: str) -> MalformedJson:
    place = _PLACE.search(message)
    line, column = (int(place[1]), int(place[2])) if place else (1, 0)
    before = text.split("\n")[: line - 1]
    offset = sum(len(part) + 1 for part in before) + column
    return MalformedJson(_field_at(text, offset), f"Invalid JSON: {message}")
