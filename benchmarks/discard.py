"""Read addresses through some connections and throw the bytes away: what any client could get at most.

Run by the other programs inside the client's namespace: `discard.py CONNECTIONS URL SIZE [URL SIZE ...]`. Each address
gets its share of the connections, and so much is read from its beginning.
"""

from __future__ import annotations

import socket
import sys
import threading
from urllib.parse import urlsplit

BLOCK_BYTES = 1 << 20


def read(url: str, start: int, end: int) -> int:
    """Ask for the bytes `start` to `end` and return how many came, the answer's head included."""
    parts = urlsplit(url)
    heads = [f"Host: {parts.netloc}", f"Range: bytes={start}-{end - 1}", "Connection: close", "", ""]
    asked = "\r\n".join([f"GET {parts.path} HTTP/1.1", *heads])
    came, block = 0, bytearray(BLOCK_BYTES)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(asked.encode())
        while count := connection.recv_into(block):
            came += count
    return came


def main(words: list[str]) -> int:
    """Share the bytes among the connections; fail when less came than there is."""
    connections, urls, sizes = int(words[0]), words[1::2], [int(word) for word in words[2::2]]
    spans, came = [], []
    for url, size_bytes in zip(urls, sizes, strict=True):
        share = -(-size_bytes // (connections // len(urls)))
        spans += [(url, at, min(at + share, size_bytes)) for at in range(0, size_bytes, share)]
    threads = [threading.Thread(target=lambda span=span: came.append(read(*span))) for span in spans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if sum(came) >= sum(sizes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
