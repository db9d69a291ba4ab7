"""Feed the fast engine's packet reader what no server would send, for some seconds; every case is named by its seed.

Half of the cases change bytes on the wire: then a program may only ever get a beginning of what was meant for it. The
other half are a server that means harm: its packets are sealed as they should be, what is in them is odd. Whatever
comes, the reader passes it on, or ends the connection as broken; it never fails in another way, hangs, or grows.

`PYTHONPATH=src:tests python benchmarks/fuzz_packets.py --seconds 3600`
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Sequence

import paramiko

from servers.sealed import Line, about, data

MOST_WIRE_BYTES = 150_000  # what the wire of the test takes without anybody reading
LATE_S = 4.0
STREAMS = (0, 7)
PIECES = (b"", b"\0", b"\xff" * 4, bytes(4), struct.pack(">I", 1 << 31), b"\x5e" * 9)


def main(words: Sequence[str] | None = None) -> int:
    """Try cases until time is up; the first that goes wrong ends it with its seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU time (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="try this one case only")
    options = parser.parse_args(words)
    first = options.seed if options.seed is not None else time.time_ns()
    outcomes: Counter[str] = Counter()
    number = 0
    while number == 0 or (options.seed is None and time.process_time() < options.seconds):
        seed = first + number
        begun_s = time.monotonic()
        try:
            outcomes[case(random.Random(seed))] += 1
        except BaseException:
            print(f"seed {seed}", file=sys.stderr, flush=True)
            raise
        if time.monotonic() - begun_s > LATE_S:
            outcomes[f"late: seed {seed}"] += 1
        number += 1
        if not number % 100:
            gc.collect()  # a connection is a ring of objects with a megabyte and a half of buffers
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{number} cases in {time.process_time():.0f} CPU seconds, peak {peak_mib} MiB, first seed {first}")
    for outcome, count in outcomes.most_common():
        print(f"{count:9} {outcome}")
    return 0


def case(dice: random.Random) -> str:
    """Try one case and say how it ended."""
    line = Line(dice.choice([1 << 20, dice.randint(1, 9000)]))
    programs = {number: line.stream(number, **_state(dice)) for number in STREAMS}
    for program, _ in programs.values():
        if dice.random() < 0.3:
            program.sendall(dice.randbytes(dice.randint(1, 5000)))
        if dice.random() < 0.3:
            program.shutdown(socket.SHUT_WR)
    hostile = dice.random() < 0.5
    messages, wire = [], bytearray()
    while len(wire) < MOST_WIRE_BYTES // 2 and dice.random() < 0.93:
        messages.append(_odd(dice) if hostile else _even(dice))
        wire += line.seal(messages[-1] or b"\2")
    if not hostile:
        _change(dice, wire)
    line.peer.sendall(wire[:MOST_WIRE_BYTES])
    line.peer.shutdown(socket.SHUT_WR)
    how = "hostile, " if hostile else "changed, "
    try:
        line.read()
    except paramiko.SSHException as cause:
        how += "".join(letter for letter in str(cause) if not letter.isdigit())
    else:
        how += "read to its end"
    for number, (program, result) in programs.items():
        _check(program, result, b"" if hostile else _meant(messages, number), hostile=hostile)
    line.peer.close()
    return how


def _check(program: socket.socket, result: list[bool], meant: bytes, *, hostile: bool) -> None:
    got = b""
    try:
        while block := program.recv(1 << 20):
            got += block
    except ConnectionResetError:
        pass
    program.close()
    if len(result) != 1:
        raise AssertionError(f"told {len(result)} times how it ended")
    if not hostile and not meant.startswith(got):
        raise AssertionError("a program got what nobody sent it")


def _state(dice: random.Random) -> dict[str, int]:
    window_bytes = dice.choice([5000, 1 << 21])
    return {
        "window_bytes": window_bytes,
        "room_bytes": dice.choice([0, 1, 5000, 1 << 21]),
        "packet_bytes": dice.choice([1, 100, 1 << 15, 1 << 31]),
        "allowed_bytes": dice.choice([0, 1000, window_bytes]),
    }


def _meant(messages: list[bytes], number: int) -> bytes:
    head = struct.pack(">BI", 94, number)
    return b"".join(each[9:] for each in messages if each.startswith(head))


def _even(dice: random.Random) -> bytes:
    """Make a message as a server sends it."""
    number = dice.choice([*STREAMS, 3])
    kind = dice.choice([94, 94, 94, 93, 96, 97, 2, 98, 80])
    if kind == 94:
        return data(number, dice.randbytes(dice.choice([0, 1, 100, dice.randint(1, 30_000)])))
    return about(kind, number) + (struct.pack(">I", dice.randrange(1 << 20)) if kind == 93 else b"")


def _odd(dice: random.Random) -> bytes:
    """Make a message that no server sends."""
    message = bytearray(_even(dice))
    for _ in range(dice.choice([0, 0, 1, 3])):
        begin = dice.randrange(min(len(message), 12) + 1)
        end = begin + dice.choice([0, 1, 4, len(message)])
        message[begin:end] = dice.choice([*PIECES, dice.randbytes(dice.randint(1, 20))])
    if dice.random() < 0.05:
        message += bytes(dice.randint(1, 60_000))
    return bytes(message)


def _change(dice: random.Random, wire: bytearray) -> None:
    """Change, double, lose or move bytes on the wire."""
    for _ in range(dice.choice([0, 1, 1, 2, 5])):
        if not wire:
            return
        begin = dice.randrange(len(wire))
        end = min(len(wire), begin + dice.choice([1, 1, 4, 16, dice.randint(1, 5000)]))
        piece = wire[begin:end]
        kind = dice.randrange(4)
        if kind == 0:
            wire[begin] ^= dice.randint(1, 255)
        elif kind == 1:
            del wire[begin:end]
        elif kind == 2:
            wire[begin:begin] = piece
        else:
            wire[begin:end] = dice.choice([*PIECES, dice.randbytes(len(piece))])


if __name__ == "__main__":
    sys.exit(main())
