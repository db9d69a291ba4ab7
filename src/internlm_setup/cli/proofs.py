"""What files were checked against, in one line: how many by which hash, and whose it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from internlm_setup.core.text import Text

_LINK = Text(en=", ", zh="、")
_PART = Text(en="{n} verified by {kind} from {hub}", zh="{n} 个已按 {hub} 公布的 {kind} 校验")
_NONE = Text(en="none verified", zh="均未校验")


def described(proofs: Iterable[tuple[str, str | None]]) -> Text:
    """Say how many files each kind of published hash proved, by publisher.

    Args:
        proofs: Of each file, the kind of hash and the hub that published it; None where nothing proves it.
    """
    counts = Counter((kind, hub) for kind, hub in proofs if hub is not None)
    parts = [_PART.fill(n=n, kind=kind, hub=hub) for (kind, hub), n in sorted(counts.items(), key=str)]
    return Text(en=_LINK.en.join(p.en for p in parts), zh=_LINK.zh.join(p.zh for p in parts)) if parts else _NONE
