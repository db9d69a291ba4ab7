"""Hold one forward with an engine of ours until the input ends: `tunnel_hold.py ENGINE FOLDER PORT DESTINATION_PORT`.

The folder is that of `servers.openssh`; prints the port here. Needs `src` and `tests` on the path.
"""

from __future__ import annotations

import getpass
import sys
from contextlib import closing
from pathlib import Path

from internlm_setup.tunnel.model import Endpoint
from servers.openssh import Sshd
from servers.streams import ENGINES, held, local, session_to


def main(words: list[str]) -> int:
    """Hold it."""
    engine, folder, port, destination = words
    server = Sshd(Path(folder), int(port), getpass.getuser())
    with (
        closing(session_to(server, ENGINES[engine])) as session,
        held(session, local(Endpoint("127.0.0.1", int(destination)))) as here,
    ):
        print(here.port, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
