"""A Hub on loopback: a real HTTP server that speaks as much of the Hub's protocol as is used here.

What it keeps of a repository is what git would: commits of whole trees, and tags. Writing takes
the token. It can count its requests, and fail at any of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_loopbackDoNotShow0123456789"
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"


class Cut(Exception):
    """The connection ends here, without an answer."""


@dataclass
class Repo:
    private: bool
    # Each commit: its sha, its title, and its files, path to content.
    commits: list[tuple[str, str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, title: str, files: dict[str, bytes]) -> str:
        listing = {path: hashlib.sha1(content).hexdigest() for path, content in files.items()}
        text = json.dumps([title, sorted(listing.items()), len(self.commits)])
        self.commits.append((hashlib.sha1(text.encode()).hexdigest(), title, files))
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        sha = self.tags.get(revision, revision)
        found = [(s, files) for s, _, files in self.commits if s == sha or revision == "main"]
        return found[-1] if found else None

    @property
    def state(self) -> tuple[dict[str, bytes], dict[str, dict[str, bytes]], list[str]]:
        """What a visitor sees: the files, those of each tag, the titles of the commits."""
        trees = {sha: files for sha, _, files in self.commits}
        tags = {tag: trees[sha] for tag, sha in self.tags.items()}
        return self.commits[-1][2], tags, [title for _, title, _ in self.commits]


class Hub:
    """The state behind the server, and what a test wants of it.

    - `requests`: a line for each so far, "METHOD path".
    - `fail`: called with the number of each request and whether it has been carried out ("before",
      "after"); what it raises or does happens then.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.fail: Callable[[int, Literal["before", "after"]], None] = lambda number, when: None
        self.lock = threading.RLock()
        self.url = ""

    def forget(self) -> None:
        """Be as new, at the same address."""
        with self.lock:
            self.repos.clear()
            self.objects.clear()
            self.requests.clear()

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        with self.lock:
            self.requests.append(f"{method} {target}")
            number = len(self.requests)
            self.fail(number, "before")
            answer = self._route(method, target, headers, body)
            self.fail(number, "after")
        return answer

    def _route(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        url = urlsplit(target)
        path, query = unquote(url.path), parse_qs(url.query)
        for verbs, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method in verbs:
                token = headers.get("Authorization", "")
                writes = method == "POST" and handler is not paths_info
                if writes and token != f"Bearer {TOKEN}":
                    # (A PUT goes to an address that is itself the permission.)
                    # As rude as can be: the answer repeats what it was given.
                    return error(401, f"Invalid credentials: {token}")
                return handler(self, match, query, headers, body)
        return error(404, f"no such page: {method} {path}", "EntryNotFound")


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def reply(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def error(status: int, message: str, code: str | None = None) -> Answer:
    answer = reply({"error": message}, status)
    answer.headers |= {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return answer


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str) -> bool:
    return path.endswith((".parquet", ".png", ".safetensors"))


def oid(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if is_lfs(path) else git_blob(content)


def with_files(handler: Callable[..., Answer]) -> Callable[..., Answer]:
    """Look up the repository and the revision that the address names."""

    def found(hub: Hub, match: re.Match[str], query: Any, headers: Any, body: bytes) -> Answer:
        name, revision = match["id"], match.groupdict().get("rev") or "main"
        repo = hub.repos.get(name)
        hidden = repo and repo.private and headers.get("Authorization") != f"Bearer {TOKEN}"
        if repo is None or hidden:
            return error(401 if hidden else 404, "Repository not found", "RepoNotFound")
        at = repo.at(revision)
        if at is None:
            return error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return handler(hub, repo, *at, match, query, headers, body)

    return found


def create(hub: Hub, match: Any, query: Any, headers: Any, body: bytes) -> Answer:
    asked = json.loads(body)
    name = f"{asked['organization']}/{asked['name']}"
    url = f"{hub.url}/datasets/{name}"
    if name in hub.repos:
        return reply({"url": url, "error": "You already created this dataset repo"}, 409)
    private = asked.get("private") or asked.get("visibility") == "private"
    hub.repos[name] = Repo(bool(private))
    hub.repos[name].commit("initial commit", {".gitattributes": ATTRIBUTES})
    return reply({"url": url, "name": name})


@with_files
def info(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, *_: Any) -> Answer:
    siblings = [{"rfilename": path} for path in sorted(files)]
    about = {"id": match["id"], "sha": sha, "private": repo.private, "siblings": siblings}
    return reply(about | {"tags": [], "lastModified": "2026-01-01T00:00:00.000Z"})


@with_files
def refs(hub: Hub, repo: Repo, *_: Any) -> Answer:
    def ref(kind: str, name: str, sha: str) -> dict[str, str]:
        return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}

    branches = [ref("heads", "main", repo.commits[-1][0])]
    tags = [ref("tags", name, sha) for name, sha in repo.tags.items()]
    return reply({"branches": branches, "tags": tags, "converts": []})


@with_files
def tag(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, query: Any, *more: Any) -> Answer:
    name = json.loads(more[1])["tag"]
    if name in repo.tags:
        return error(409, "Tag reference exists already")
    repo.tags[name] = sha
    return reply({})


@with_files
def preupload(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, *more: Any) -> Answer:
    return reply(
        {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_lfs(file["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": oid(file["path"], files[file["path"]])
                    if file["path"] in files
                    else None,
                }
                for file in json.loads(more[2])["files"]
            ]
        }
    )


def batch(hub: Hub, match: Any, query: Any, headers: Any, body: bytes) -> Answer:
    objects = []
    for asked in json.loads(body)["objects"]:
        known = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in hub.objects:
            known["actions"] = {
                "upload": {"href": f"{hub.url}/lfs/{asked['oid']}", "header": {}},
                "verify": {"href": f"{hub.url}/lfs/verify", "header": {}},
            }
        objects.append(known)
    return reply({"transfer": "basic", "objects": objects})


def put_object(hub: Hub, match: Any, query: Any, headers: Any, body: bytes) -> Answer:
    if hashlib.sha256(body).hexdigest() != match["oid"]:
        return error(400, "the content is not what was announced")
    hub.objects[match["oid"]] = body
    return Answer(200)


def verify(hub: Hub, match: Any, query: Any, headers: Any, body: bytes) -> Answer:
    asked = json.loads(body)
    known = hub.objects.get(asked["oid"])
    fits = known is not None and len(known) == asked["size"]
    return reply({}) if fits else error(404, "no such object")


def validate_yaml(hub: Hub, match: Any, query: Any, headers: Any, body: bytes) -> Answer:
    asked = json.loads(body)
    _, block, _ = asked["content"].split("---\n", 2)
    fields = yaml.safe_load(block)
    missing = [name for name in NEEDED[asked["repoType"]] if name not in fields]
    errors = [{"message": f"{name} is missing"} for name in missing]
    return reply({"errors": errors, "warnings": []}, 400 if errors else 200)


@with_files
def commit(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, *more: Any) -> Answer:
    new, title = dict(files), ""
    for line in map(json.loads, more[2].splitlines()):
        value = line["value"]
        if line["key"] == "header":
            title = value["summary"]
        elif line["key"] == "file":
            new[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.objects:
                return error(400, f"no object for {value['path']}")
            new[value["path"]] = hub.objects[value["oid"]]
        elif line["key"] == "deletedFile":
            del new[value["path"]]
    made = repo.commit(title, new)
    return reply(
        {"commitUrl": f"{hub.url}/datasets/{match['id']}/commit/{made}", "commitOid": made}
    )


def entry(path: str, content: bytes) -> dict[str, Any]:
    about: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
    about["oid"] = git_blob(content)
    if is_lfs(path):
        sha = hashlib.sha256(content).hexdigest()
        about["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
    return about


@with_files
def tree(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, query: Any, *_: Any) -> Answer:
    folder = (match["path"] or "").strip("/")
    prefix = f"{folder}/" if folder else ""
    inside = {path: content for path, content in files.items() if path.startswith(prefix)}
    if prefix and not inside:
        return error(404, f"{folder} does not exist", "EntryNotFound")
    recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
    entries: dict[str, dict[str, Any]] = {}
    for path, content in sorted(inside.items()):
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts)) if recursive else range(1, min(len(parts), 2)):
            name = prefix + "/".join(parts[:depth])
            entries[name] = {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
        if recursive or len(parts) == 1:
            entries[path] = entry(path, content)
    return reply(list(entries.values()))


@with_files
def paths_info(hub: Hub, repo: Repo, sha: str, files: Any, match: Any, *more: Any) -> Answer:
    body = more[2].decode()
    asked = json.loads(body) if body.startswith("{") else parse_qs(body)
    paths = asked.get("paths", [])
    answers = [entry(path, files[path]) for path in paths if path in files]
    for path in paths:
        if any(name.startswith(f"{path}/") for name in files):
            answers.append({"type": "directory", "path": path, "size": 0, "oid": "0" * 40})
    return reply(answers)


@with_files
def resolve(
    hub: Hub, repo: Repo, sha: str, files: Any, match: Any, query: Any, *more: Any
) -> Answer:
    path, headers = match["path"], more[0]
    if path not in files:
        return error(404, "Entry not found", "EntryNotFound")
    content = files[path]
    about = {
        "X-Repo-Commit": sha,
        "ETag": f'"{oid(path, content)}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range", ""))
    if span:
        start, end = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
        about["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return Answer(206, content[start : end + 1], about)
    return Answer(200, content, about)


NEEDED = {"dataset": ("license", "configs"), "model": ("license",), "space": ("title", "sdk")}
ID = r"(?P<id>[^/]+/[^/]+?)"
KIND = r"(?:datasets|models|spaces)"
ROUTES: list[tuple[tuple[str, ...], str, Callable[..., Answer]]] = [
    (("HEAD", "GET"), r"/", lambda *_: Answer(200, b"a Hub")),
    (("POST",), r"/api/repos/create", create),
    (("POST",), r"/api/validate-yaml", validate_yaml),
    (("GET",), rf"/api/{KIND}/{ID}/refs", refs),
    (("GET",), rf"/api/{KIND}/{ID}(/revision/(?P<rev>[^/]+))?", info),
    (("GET",), rf"/api/{KIND}/{ID}/tree/(?P<rev>[^/]+)(?P<path>/.*)?", tree),
    (("POST",), rf"/api/{KIND}/{ID}/paths-info/(?P<rev>[^/]+)", paths_info),
    (("POST",), rf"/api/{KIND}/{ID}/preupload/(?P<rev>[^/]+)", preupload),
    (("POST",), rf"/api/{KIND}/{ID}/commit/(?P<rev>[^/]+)", commit),
    (("POST",), rf"/api/{KIND}/{ID}/tag/(?P<rev>[^/]+)", tag),
    (("POST",), rf"/(?:datasets/|spaces/)?{ID}\.git/info/lfs/objects/batch", batch),
    (("POST",), r"/lfs/verify", verify),
    (("PUT",), r"/lfs/(?P<oid>[0-9a-f]{64})", put_object),
    (("HEAD", "GET"), rf"/(?:datasets/|spaces/)?{ID}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", resolve),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def _serve(self) -> None:
        try:
            body = self._body()
            answer = self.hub.answer(self.command, self.path, self.headers, body)
        except (Cut, ConnectionError):
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                raise Cut
            return body
        parts = []
        while size := int(self.rfile.readline() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, *_: Any) -> None:
        """Silent: what a test needs to know is in `Hub.requests`."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no error of the server's."""


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that listens on a free port of 127.0.0.1 until the block ends."""
    hub = Hub()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
