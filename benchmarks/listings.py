"""What hubs say about a model, as pages on disk, so that nginx alone can serve them.

The answers are made by the playground's own protocol modules, which the official clients are tested against.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from internlm_setup.playground.hub import Repository, huggingface, modelscope
from internlm_setup.playground.hub.library import Library
from internlm_setup.playground.hub.message import Call, Reply
from models import Model

_NEXT = re.compile(r'<([^>]+)>; rel="next"')


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: `choice` tells apart the answers at one path, by what their queries ask for."""

    path: str
    choice: str
    body: bytes
    link: str = ""


class Listings:
    """The pages of one model at both hubs.

    Attributes:
        commit: What Hugging Face calls this state of the files.
    """

    def __init__(self, model: Model, hub_url: str) -> None:
        self._library = Library({}, None, page_size=1000, link_lifetime_s=0)
        self._library.url = hub_url
        ids = dict.fromkeys(("huggingface", "modelscope"), model.name)
        self._library.add([Repository(ids, model.folder, entries=model.entries)])
        shelf = self._library.shelf("huggingface", model.name)
        if shelf is None:
            raise AssertionError("a repository that was just added is not there")
        self.commit = shelf.walk("huggingface").commit
        self._model = model

    def huggingface(self) -> Iterator[Page]:
        """Yield the repository's page, and its listing page by page; `choice` is the cursor."""
        api = f"/api/models/{self._model.name}"
        for path in (api, f"{api}/revision/main", f"{api}/revision/{self.commit}"):
            yield Page(path, "", self._ask(f"{path}?blobs=true" if path == api else path).content_bytes())
        tree = f"{api}/tree/{self.commit}"
        target = f"{tree}?recursive=true&expand=false"
        while target:
            answer = self._ask(target)
            cursor = urlencode({"": dict(parse_qsl(urlsplit(target).query)).get("cursor", "")})[1:]
            yield Page(tree, cursor, answer.content_bytes(), answer.link)
            found = _NEXT.match(answer.link)
            target = found[1].removeprefix(self._library.url) if found else ""

    def modelscope(self) -> Iterator[Page]:
        """Yield the listing as a whole, and by folder, as its limit demands; `choice` is `Root/Recursive`."""
        for path in (f"/openapi/v1/models/{self._model.name}", "/api/v1/repos/internalAccelerationInfo"):
            yield Page(path, "/", self._ask(path).content_bytes())
        files = f"/api/v1/models/{self._model.name}/repo/files"
        folders = {entry.path.split("/")[0] for entry in self._model.entries if "/" in entry.path}
        for root, recursive in [("", "True"), ("", "False"), *((folder, "True") for folder in sorted(folders))]:
            query = urlencode({"Revision": "master", "Recursive": recursive, "Root": root})
            yield Page(files, f"{root}/{recursive}", self._ask(f"{files}?{query}").content_bytes())

    def _ask(self, target: str) -> _Answer:
        parts = urlsplit(target)
        segments = tuple(part for part in parts.path.split("/") if part)
        call = Call("hub", "GET", target, segments, dict(parse_qsl(parts.query)), {})
        reply = modelscope.answer(call, self._library) or huggingface.answer(call, self._library)
        if reply is None or reply.status != 200:
            raise AssertionError(f"the playground has no answer to {target}")
        return _Answer(reply)


class _Answer:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.link = reply.headers.get("Link", "")

    def content_bytes(self) -> bytes:
        if not isinstance(self._reply.content, bytes):
            raise TypeError("a listing is not a file")
        return self._reply.content
