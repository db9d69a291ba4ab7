"""What `ssh` starts to ask a question: passes it on to the socket that is named first, and prints the answer.

It runs by itself, with nothing of ours around it.
"""

import json
import os
import socket
import sys


def main() -> int:
    """Ask; 1 where nobody answers."""
    question = [" ".join(sys.argv[2:]), os.environ.get("SSH_ASKPASS_PROMPT", "")]
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(sys.argv[1])
        sock.sendall(json.dumps(question).encode() + b"\n")
        with sock.makefile("rb") as answers:
            answer = json.loads(answers.readline() or b"null")
    if answer is None:
        return 1
    sys.stdout.write(f"{answer}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
