"""Archives with the same bytes every time."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping


def tar(archive: tarfile.TarFile, files: Mapping[str, bytes]) -> None:
    """Put files into an open archive."""
    for path, data in files.items():
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(data), 0o644
        archive.addfile(entry, io.BytesIO(data))


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """Return a `.tar.gz`; its content is stored, not compressed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        tar(archive, files)
    return gzip.compress(made.getvalue(), compresslevel=0, mtime=0)
