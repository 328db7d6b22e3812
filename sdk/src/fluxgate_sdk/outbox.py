"""What waits to be sent, and what happens to it: batches, answers, retries, halving, giving up.

One thread at a time calls `step`; any thread may append to `intake`. Nothing here starts a thread or sleeps.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from fluxgate_sdk.backoff import Backoff, Jitter
from fluxgate_sdk.events import encode, wire_event
from fluxgate_sdk.lanes import QUEUED, Item, Lane, Unreadable, read_error, verdict_of
from fluxgate_sdk.ledger import Ledger
from fluxgate_sdk.spool import Spool
from fluxgate_sdk.tracking import Answer, failed
from fluxgate_sdk.transport import Reply, Transport, Unreachable

CAPACITY: Final = 10_000
BATCH_BYTES: Final = 512 * 1024
LINGER_SECONDS: Final = 1.0
MOST_TRIES: Final = 6
SPOOL_EVENTS: Final = 1_000
SPOOL_SECONDS: Final = 30.0
MAX_EVENT_BYTES: Final = 256 * 1024


class Batch:
    """Items that are sent in one request; `tries` counts how often that failed without a word about the items."""

    __slots__ = ("items", "tries")

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.tries = 0

    def halves(self) -> list[Batch]:
        middle = len(self.items) // 2
        return [Batch(self.items[:middle]), Batch(self.items[middle:])]


@dataclass
class Queue:
    """What waits for one endpoint: encoded items, then batches; the first batch is the one that is sent next."""

    lane: Lane
    backoff: Backoff
    items: deque[Item] = field(default_factory=deque)
    batches: deque[Batch] = field(default_factory=deque)
    item_bytes: int = 0
    lingers_since: float = 0.0
    refused: str = ""
    """Why nothing is sent any more; '' while it is."""
    trouble: str = ""
    """What the last failure said; '' after a success."""

    def add(self, item: Item, now: float) -> None:
        if not self.items:
            self.lingers_since = now
        self.items.append(item)
        self.item_bytes += len(item.payload)

    def linger_left(self, now: float) -> float:
        """Seconds until what waits is worth a request; 0 when it is."""
        full = len(self.items) >= self.lane.most or self.item_bytes >= BATCH_BYTES
        return 0.0 if full else max(0.0, self.lingers_since + LINGER_SECONDS - now)

    def cut(self, now: float) -> None:
        """Make the oldest items the next batch."""
        taken: list[Item] = []
        size = 0
        while self.items and len(taken) < self.lane.most:
            size += len(self.items[0].payload)
            if taken and size > BATCH_BYTES:
                break
            taken.append(self.items.popleft())
        self.item_bytes -= sum(len(item.payload) for item in taken)
        self.lingers_since = now
        self.batches.append(Batch(taken))

    def everything(self) -> list[Item]:
        return [item for batch in list(self.batches) for item in batch.items] + list(self.items)

    def clear(self) -> None:
        self.items.clear()
        self.batches.clear()
        self.item_bytes = 0


class Outbox:
    """The queues of one client."""

    def __init__(
        self,
        transport: Transport,
        ledger: Ledger,
        spool: Spool | None = None,
        *,
        timeout: float = 5.0,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
        jitter: Jitter = random.uniform,
    ) -> None:
        self.intake: deque[Item] = deque()
        self._transport = transport
        self._ledger = ledger
        self._spool = spool
        self._timeout = timeout
        self._capacity = capacity
        self._clock = clock
        self._size = 0
        self._more_on_disk = spool is not None and spool.has_files()
        self._queues = {name: Queue(lane, Backoff(jitter)) for name, lane in QUEUED.items()}

    @property
    def size(self) -> int:
        """How many items are neither settled nor given up."""
        return len(self.intake) + self._size

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits: neither here nor, as far as it can be sent now, on disk."""
        return self.size == 0 and not self._goes_on_with_disk

    @property
    def is_full(self) -> bool:
        return len(self.intake) + self._size >= self._capacity

    @property
    def is_given_up(self) -> bool:
        """Whether events are not even tried now: the breaker is open, or the key is refused."""
        queue = self._queues["events"]
        return bool(queue.refused) or queue.backoff.is_open(self._clock())

    def queue_of(self, lane: Lane) -> Queue:
        """What waits for that endpoint."""
        return self._queues[lane.name]

    def step(self, *, eager: bool = False, impatient: bool = False, until: float | None = None) -> float | None:
        """Do the next thing that is due, at most one request for each endpoint.

        `eager` sends part-filled batches too, `impatient` does not wait out the time after a failure, requests end by
        `until`. Returns the seconds until something is due again; None when nothing waits.
        """
        self._take_in()
        self._ledger.say(self._clock())
        self._move_to_disk()
        delays = [self._advance(queue, eager, impatient, until) for queue in self._queues.values()]
        self._take_from_disk()
        waiting = [delay for delay in delays if delay is not None]
        return min(waiting) if waiting else None if self.is_empty else 0.0

    def refuse(self, lane: Lane, why: str) -> None:
        """Send nothing more to this endpoint, and say so once: the key is refused. From any thread."""
        queue = self.queue_of(lane)
        if queue.refused:
            return
        queue.refused = why
        self._ledger.warn(
            f"the server refuses the API key ({why}). Until the program is started with another key, "
            f"{'events are dropped' if self._spool is None else 'events are kept on disk, as long as there is room'}."
        )

    def abandon(self, reason: str = "undelivered") -> None:
        """Keep on disk what waits, or give it up: the program ends, or the client was closed."""
        self._take_in()
        for queue in self._queues.values():
            self._keep_or_drop(queue, reason, queue.trouble)
        if self._spool is not None:
            self._spool.release()
            self._spool = None
            self._more_on_disk = False

    def drop_late(self) -> None:
        """Give up what came after the end. From any thread."""
        while True:
            try:
                item = self.intake.popleft()
            except IndexError:
                return
            self._ledger.dropped("closed")
            item.settle(failed("came after close()"))

    def skip(self) -> None:
        """Give up what came first, so that a fault of this library does not hold up the rest."""
        for queue in self._queues.values():
            if queue.batches:
                self._give_up(queue.batches.popleft().items, "failed", "a fault of the SDK")

    def forget(self) -> None:
        """In a forked child: leave everything to the parent, who still has it."""
        inherited = [*self.intake, *(item for queue in self._queues.values() for item in queue.everything())]
        self.intake.clear()
        for queue in self._queues.values():
            queue.clear()
        self._size = 0
        for item in inherited:
            item.response.settle(failed("left to the parent process, which records it"))
        self._more_on_disk = False
        if self._spool is not None:
            self._spool.release()

    def _take_in(self) -> None:
        """Encode what was handed over: JSON takes a fifth of the memory."""
        now = self._clock()
        for _ in range(len(self.intake)):
            self._size += 1  # First: there must be no moment in which it counts nowhere.
            try:
                item = self.intake.popleft()
            except IndexError:  # At the end, another thread takes in what the delivery's own had begun with.
                self._size -= 1
                return
            try:
                item.payload = item.payload or encode(wire_event(item.body()) if callable(item.body) else item.body)
            except Exception as error:
                self._give_up([item], "unencodable", type(error).__name__)
                continue
            item.body = None
            if len(item.payload) > MAX_EVENT_BYTES:
                self._give_up(
                    [item], "too_large", f"{len(item.payload) // 1024} KiB; at most {MAX_EVENT_BYTES // 1024}"
                )
                continue
            self.queue_of(item.lane).add(item, now)

    def _advance(self, queue: Queue, eager: bool, impatient: bool, until: float | None) -> float | None:
        now = self._clock()
        if queue.refused:
            return self._put_aside(queue, eager)
        if not queue.batches:
            if not queue.items:
                return None
            if not eager and (left := queue.linger_left(now)):
                return left
            queue.cut(now)
        if left := queue.backoff.left(now, impatient=impatient):
            return left
        self._send(queue, queue.batches[0], until)
        return self._next(queue, eager)

    def _put_aside(self, queue: Queue, eager: bool) -> float | None:
        """What comes after the key was refused: on disk in files of a fair size, or nowhere."""
        wait = queue.lingers_since + SPOOL_SECONDS - self._clock()
        many = len(queue.items) >= SPOOL_EVENTS or bool(queue.batches)
        if queue.items and self._spool is not None and wait > 0 and not (eager or many):
            return wait
        self._keep_or_drop(queue, "unauthorized", queue.refused)
        return None

    def _next(self, queue: Queue, eager: bool) -> float | None:
        now = self._clock()
        if queue.batches:
            return queue.backoff.left(now)
        if not queue.items:
            return None
        return 0.0 if eager else queue.linger_left(now)

    def _send(self, queue: Queue, batch: Batch, until: float | None) -> None:
        timeout = self._timeout if until is None else min(self._timeout, until - self._clock())
        try:
            reply = self._transport.post(queue.lane.path, queue.lane.join([i.payload for i in batch.items]), timeout)
            # At exit, another thread may have kept or given up meanwhile what was on its way.
            if queue.batches and queue.batches[0] is batch:
                self._judge(queue, batch, reply)
        except (Unreachable, Unreadable) as error:
            self._again(queue, f"{queue.lane.path}: {error}")
            self._let_others_go_first(queue, batch)

    def _judge(self, queue: Queue, batch: Batch, reply: Reply) -> None:
        """Do with the batch what the answer says. Raises Unreadable when it says nothing."""
        verdict = verdict_of(reply.status)
        said = f"{queue.lane.path}: HTTP {reply.status} {read_error(reply.body)}".strip()
        if verdict == "answered":
            self._settle(queue, batch, queue.lane.read(reply.body, len(batch.items)), said)
        elif verdict == "unauthorized":
            self.refuse(queue.lane, said)
        elif verdict == "unpackable" and self._transport.packs:
            self._transport.packs = False
        elif verdict in ("too_large", "refused", "unpackable"):
            self._halve(queue, batch, "rejected", said)
        else:
            self._again(queue, said, reply.retry_after)
            self._let_others_go_first(queue, batch)
            if verdict == "failed" and batch.tries >= MOST_TRIES:
                self._halve(queue, batch, "failed", said)

    def _let_others_go_first(self, queue: Queue, batch: Batch) -> None:
        """After a few tries it may be the batch: without this, one that never gets through would hold up all others."""
        batch.tries += 1
        if batch.tries % MOST_TRIES == 0 and queue.batches and queue.batches[0] is batch:
            if queue.items:
                queue.cut(self._clock())
            queue.batches.rotate(-1)

    def _settle(self, queue: Queue, batch: Batch, answers: list[Answer | None], said: str) -> None:
        queue.batches.popleft()
        again = [item for item, answer in zip(batch.items, answers, strict=True) if answer is None]
        if again:
            queue.batches.appendleft(Batch(again))
            self._again(queue, "the server could not store some events in time")
        else:
            queue.backoff.succeeded()
            queue.trouble = ""
        for item, answer in zip(batch.items, answers, strict=True):
            if answer is None:
                continue
            if answer.status == "SUCCESS":
                self._ledger.sent(1)
            else:
                self._ledger.dropped("rejected", 1, answer.error_message or "")
            item.settle(answer)
            # Last: who sees that nothing waits must find all the rest done.
            self._size -= 1

    def _halve(self, queue: Queue, batch: Batch, reason: str, said: str) -> None:
        """Find out which of the items it is; one that is alone is given up."""
        queue.batches.remove(batch)
        if len(batch.items) == 1:
            self._give_up(batch.items, reason, said)
        elif reason == "failed":
            queue.batches.extend(batch.halves())  # Behind the others, which may do better.
        else:
            queue.batches.extendleft(reversed(batch.halves()))

    def _again(self, queue: Queue, said: str, retry_after: float | None = None) -> None:
        self._ledger.retried()
        self._ledger.trouble(said)
        queue.trouble = said
        queue.backoff.failed(self._clock(), retry_after)

    def _give_up(self, items: Iterable[Item], reason: str, detail: str) -> None:
        for item in items:
            self._ledger.dropped(reason, 1, detail)
            item.settle(failed(detail or reason))
            self._size -= 1

    def _keep_or_drop(self, queue: Queue, reason: str, detail: str) -> None:
        items = queue.everything()
        queue.clear()
        if items and not self._keep(items):
            self._give_up(items, reason, detail)

    def _keep(self, items: list[Item]) -> bool:
        """Write to disk what is not there yet. False when nothing can be kept."""
        if self._spool is None:
            return False
        fresh = [item for item in items if item.on_settled is None]
        if fresh and not self._spool.write(fresh):
            self._ledger.trouble("the spool is full or cannot be written")
            return False
        self._more_on_disk = True
        self._ledger.spooled(len(fresh))
        for item in items:
            item.response.settle(failed("not delivered yet: kept on disk, to be sent later"))
        self._size -= len(items)
        return True

    def _move_to_disk(self) -> None:
        """While the server is away, keep room in memory for what comes."""
        queue = self._queues["events"]
        if self._spool is None or not queue.backoff.failures or len(queue.items) <= self._capacity // 2:
            return
        items = [queue.items.pop() for _ in range(min(SPOOL_EVENTS, len(queue.items)))]
        queue.item_bytes -= sum(len(item.payload) for item in items)
        if not self._keep(items):
            for item in reversed(items):
                queue.add(item, queue.lingers_since)

    @property
    def _goes_on_with_disk(self) -> bool:
        """There is something, the server takes what it is given, and there is room."""
        if not self._more_on_disk or self._size > self._capacity // 4:
            return False
        return not any(queue.refused or queue.backoff.failures for queue in self._queues.values())

    def _take_from_disk(self) -> None:
        """Go on with what was kept."""
        if self._spool is None or not self._goes_on_with_disk:
            return
        now = self._clock()
        items = self._spool.take()
        self._more_on_disk = bool(items)
        for item in items:
            self._size += 1
            self.queue_of(item.lane).add(item, now)
