"""Our own engine: pieces of every file in parallel, kept through any stop (see `fetch.transfer`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from internlm_setup.fetch.engines import Work
from internlm_setup.fetch.model import Hub
from internlm_setup.fetch.transfer.options import Options, Outcome
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.rate import RateLimit
from internlm_setup.fetch.transfer.store import Store


class Native:
    """Works with every hub."""

    id: ClassVar[str] = "native"

    @staticmethod
    def check(hub: Hub, limit_rate_bytes_per_s: int | None) -> None:
        """Nothing speaks against it."""

    @staticmethod
    def present_bytes(store: Store, hub: Hub, contents: Sequence[Content]) -> int:  # noqa: ARG004
        """Count what the journals vouch for, whichever hub it came from."""
        return sum(store.present_bytes(c.key, c.size_bytes) for c in contents)

    @staticmethod
    def carry(work: Work) -> tuple[list[Outcome], int]:
        """See `transfer.pool.transfer`."""
        from internlm_setup.fetch.transfer.http import Fetcher  # a run with nothing to do needs neither
        from internlm_setup.fetch.transfer.pool import transfer

        options = Options(
            jobs=work.jobs,
            limit=RateLimit(work.limit_rate_bytes_per_s, work.clock),
            clock=work.clock,
            tell=work.tell,
            finished=work.finished,
            most_jobs=work.most_jobs if work.limit_rate_bytes_per_s is None else work.jobs,
            trace=work.trace,
        )
        return transfer(work.contents, work.store, Fetcher(work.network), options)


ENGINE = Native
