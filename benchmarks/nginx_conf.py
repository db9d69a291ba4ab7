"""nginx's configuration for one model: Hugging Face's and ModelScope's addresses, without a program behind them."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from listings import Listings, Page
from models import Model

WORKERS = 2
_LOG = "$msec $request_time $request_method $status $body_bytes_sent $server_port $range $request_uri"
_FRAME = """\
daemon off;
{user}
worker_processes {workers};
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    log_format counted '{log}';
    access_log {folder}/access.log counted;
    client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
    sendfile on; tcp_nopush on; tcp_nodelay on; etag off; default_type application/octet-stream;
    keepalive_requests 1000000; keepalive_timeout 300; open_file_cache max=16384 inactive=300;
    map_hash_max_size 65536; map_hash_bucket_size 512;
    map "$http_range" $range {{ default $http_range; "" -; }}
{maps}
    {quota_zone}
    server {{
        listen {host}:{port} backlog=1024;
        {quota}
        {locations}
{answers}
    }}
    server {{
        listen {host}:{cdn_port} backlog=1024;
        {limit}
        location /{name}/ {{ alias {files}/; }}
    }}
}}
"""
_QUOTA = """\
limit_req zone=quota burst={per_s} nodelay; limit_req_status 429; error_page 429 @busy;
        location @busy {{
            add_header Retry-After 1 always;
            add_header RateLimit '"resolvers";r=0;t=1' always;
            return 429;
        }}"""
_AT_CDN = """\
        location ~ ^/(?:(?:models/)?{name}/resolve/[^/]+|ms)/(?<path>.+)$ {{
            add_header X-Repo-Commit {commit} always;
            add_header X-Linked-Size $size always;
            add_header X-Linked-ETag '"$sha256"' always;
            return 302 http://{host}:{cdn_port}/{name}/$path;
        }}"""
_AT_HUB = """\
        location ~ ^/(?:{name}/resolve/[^/]+)/(?<path>.+)$ {{
            add_header X-Repo-Commit {commit} always;
            add_header ETag '"$git_sha1"';
            alias {files}/$path;
        }}
        location ~ ^/ms/(?<path>.+)$ {{
            add_header ETag '"$sha256"';
            alias {files}/$path;
        }}"""


@dataclass(frozen=True, slots=True)
class Where:
    """Where nginx is to listen: its address, its two ports, and the words that lead into its network namespace."""

    host: str
    port: int
    cdn_port: int
    enter: tuple[str, ...] = ()

    @classmethod
    def loopback(cls) -> Where:
        """Choose two free ports of this machine."""
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            return cls("127.0.0.1", one.getsockname()[1], two.getsockname()[1])


def write(
    model: Model, folder: Path, where: Where, limit_bytes_per_s: int | None, requests_per_s: int | None = None
) -> Path:
    """Write the configuration, its maps and the hubs' pages into `folder`; return the configuration's path."""
    listings = Listings(model, f"http://{where.host}:{where.port}")
    names = {
        "name": model.name,
        "files": model.folder,
        "commit": listings.commit,
        "host": where.host,
        "port": where.port,
        "cdn_port": where.cdn_port,
        "folder": folder,
    }
    maps = _file_maps(model, folder)
    locations: list[str] = []
    for hub, choice, pages in (
        ("hf", "$arg_cursor", list(listings.huggingface())),
        ("ms", "$arg_Root/$arg_Recursive", list(listings.modelscope())),
    ):
        more_maps, more_locations = _pages(folder, hub, choice, pages)
        maps, locations = maps + more_maps, locations + more_locations
    locations.append(f"location = /api/v1/models/{model.name}/repo {{ rewrite ^ /ms/$asked? last; }}")
    text = _FRAME.format(
        **names,
        log=_LOG,
        workers=WORKERS,
        user="user root;" if os.geteuid() == 0 else "",
        maps="\n".join(f"    {line}" for line in maps),
        locations="\n".join(f"        {line}" for line in locations),
        answers=(_AT_CDN if model.lfs else _AT_HUB).format(**names),
        quota_zone=f"limit_req_zone all zone=quota:1m rate={requests_per_s}r/s;" if requests_per_s else "",
        quota=_QUOTA.format(per_s=requests_per_s) if requests_per_s else "",
        limit=f"limit_rate {limit_bytes_per_s};" if limit_bytes_per_s else "",
    )
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    return folder / "nginx.conf"


def _file_maps(model: Model, folder: Path) -> list[str]:
    entries = model.entries
    return [
        _map(folder, "$arg_FilePath", "$asked", {quote_plus(entry.path): entry.path for entry in entries}),
        _map(folder, "$path", "$sha256", {entry.path: entry.sha256 for entry in entries}),
        _map(folder, "$path", "$git_sha1", {entry.path: entry.git_sha1 for entry in entries}),
        _map(folder, "$path", "$size", {entry.path: str(entry.size_bytes) for entry in entries}),
    ]


def _map(folder: Path, key: str, name: str, values: dict[str, str]) -> str:
    quoted = {known: value.replace('"', '\\"') for known, value in values.items()}
    file = folder / f"{name.strip('$')}.map"
    file.write_text("".join(f'"{known}" "{value}";\n' for known, value in quoted.items()), encoding="utf-8")
    return f'map "{key}" {name} {{ include {file}; }}'


def _pages(folder: Path, hub: str, choice: str, pages: Sequence[Page]) -> tuple[list[str], list[str]]:
    """Write a hub's pages; return maps that pick a page by what was asked, and a location for each path."""
    maps, locations = [], []
    for number, path in enumerate(dict.fromkeys(page.path for page in pages)):
        page_of, link_of = f"${hub}_page_{number}", f"${hub}_link_{number}"
        here = {page.choice: page for page in pages if page.path == path}
        files = {chosen: folder / f"{hub}-{number}-{index}.json" for index, chosen in enumerate(here)}
        for chosen, page in here.items():
            files[chosen].write_bytes(page.body)
        maps.append(_map(folder, choice, page_of, {chosen: str(file) for chosen, file in files.items()}))
        maps.append(_map(folder, choice, link_of, {chosen: page.link for chosen, page in here.items()}))
        answer = f"default_type application/json; add_header Link {link_of}; alias {page_of};"
        locations.append(f"location = {path} {{ {answer} }}")
    return maps, locations
