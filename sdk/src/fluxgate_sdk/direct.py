"""Sending one event at once, on the thread that asks for its answer."""

from __future__ import annotations

import time

from fluxgate_sdk.events import encode
from fluxgate_sdk.lanes import ONE_EVENT, Item, Unreadable, read_error, verdict_of
from fluxgate_sdk.ledger import Ledger
from fluxgate_sdk.outbox import Outbox
from fluxgate_sdk.tracking import failed
from fluxgate_sdk.transport import Reply, Transport, Unreachable


class Direct:
    """One try, whose failures count for the queue's breaker as the queue's count for it."""

    def __init__(self, outbox: Outbox, transport: Transport, ledger: Ledger, timeout: float) -> None:
        self._outbox = outbox
        self._transport = transport
        self._ledger = ledger
        self._timeout = timeout

    def post(self, item: Item) -> bool:
        """Whether the item is settled: stored, or refused. If not, it is worth another try in the background.

        Raises what `encode` raises.
        """
        item.payload = item.payload or encode(item.body)
        queue = self._outbox.queue_of(item.lane)
        if queue.refused or queue.backoff.is_open(time.monotonic()):
            return False
        try:
            return self._settles(item, self._transport.post(ONE_EVENT.path, item.payload, self._timeout))
        except (Unreachable, Unreadable) as error:
            self._trouble(item, f"{ONE_EVENT.path}: {error}", None)
            return False

    def _settles(self, item: Item, reply: Reply) -> bool:
        verdict = verdict_of(reply.status)
        said = f"{ONE_EVENT.path}: HTTP {reply.status} {read_error(reply.body)}".strip()
        if verdict == "answered":
            answer = ONE_EVENT.read(reply.body, 1)[0]
            if answer is not None:
                self._outbox.queue_of(item.lane).backoff.succeeded()
                self._ledger.sent(1)
                item.settle(answer)
                return True
        if verdict in ("refused", "too_large"):
            self._ledger.dropped("rejected", 1, said)
            self._ledger.say(time.monotonic())
            item.settle(failed(said))
            return True
        if verdict == "unauthorized":
            self._outbox.refuse(item.lane, said)
        elif verdict == "unpackable":
            self._transport.packs = False
        else:
            self._trouble(item, said, reply.retry_after)
        return False

    def _trouble(self, item: Item, said: str, retry_after: float | None) -> None:
        self._outbox.queue_of(item.lane).backoff.failed(time.monotonic(), retry_after)
        self._ledger.trouble(said)
