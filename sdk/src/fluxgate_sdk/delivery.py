"""Delivery in the background: a thread, started when it is needed, and what may befall it: a fork, the end of the
program, an interpreter that starts no more threads.

Handing over takes no lock: it may happen in a finalizer, which may run at any moment of any thread.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from fluxgate_sdk.direct import Direct
from fluxgate_sdk.lanes import Item
from fluxgate_sdk.ledger import Ledger, Stats
from fluxgate_sdk.outbox import Outbox
from fluxgate_sdk.tracking import CostTrackingResponse, failed
from fluxgate_sdk.transport import Transport

EXIT_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 30.0
"""A thread without work ends after this long; the next event starts another."""
FAULT_SECONDS: Final = 1.0

logger = logging.getLogger("fluxgate")


class Delivery:
    """Owns the thread, the outbox and the connections of one client."""

    def __init__(self, outbox: Outbox, transport: Transport, ledger: Ledger, timeout: float) -> None:
        self._outbox = outbox
        self._transport = transport
        self._ledger = ledger
        self._direct = Direct(outbox, transport, ledger, timeout)
        self._closed = False
        self._retired = False
        self._renew()
        _deliveries.add(self)

    @property
    def stats(self) -> Stats:
        return self._ledger.stats(self._outbox.size)

    @property
    def is_reachable(self) -> bool:
        """Whether it is worth waiting for an answer: the server has not failed again and again just now."""
        return not (self._closed or self._outbox.is_given_up)

    def submit(self, item: Item) -> None:
        """Hand over an item to be sent in the background. Never waits for anything, never raises."""
        if self._process_id != os.getpid():
            self.after_fork()
        outbox = self._outbox
        if outbox.is_full and not self._closed:
            self._ledger.dropped("queue_full")
            item.settle(failed("dropped: the queue is full"))
            return
        outbox.intake.append(item)
        if self._closed:
            outbox.drop_late()
        elif self._thread is None:
            self._start()
        elif self._idle or len(outbox.intake) >= item.lane.most:
            self._wake()

    def post_now(self, item: Item) -> CostTrackingResponse | None:
        """Send one event on the calling thread, once, and return its answer.

        None where there was none in time; the event is then sent again in the background. None as well where the event
        or the key was refused, which is counted and logged.
        """
        if self._process_id != os.getpid():
            self.after_fork()
        if self._closed or not self._direct.post(item):
            self.submit(item)
            return None
        return item.response if item.response.status == "SUCCESS" else None

    def hurry(self) -> None:
        """Somebody waits for an answer: send what there is without waiting for more."""
        self._eager = True
        self._wake()

    def start(self) -> None:
        """Start the thread now: there is something to send from an earlier run."""
        self._start()

    def flush(self, timeout: float) -> bool:
        """Send what waits, trying at once even where a failure was recent. True when nothing waits any more."""
        if self._outbox.is_empty:
            return True
        thread = self._thread
        if thread is None or not thread.is_alive():
            return self._flush_here(timeout)
        gate = threading.Lock()
        gate.acquire()
        self._flushers.append(gate)
        self._impatient = True
        self._wake()
        was_empty = gate.acquire(timeout=max(0.0, timeout))
        with suppress(ValueError):
            self._flushers.remove(gate)
        return was_empty or self._outbox.is_empty

    def close(self, timeout: float) -> bool:
        """Flush, then keep or give up what is left, end the thread and close the connections. True: all was sent."""
        if self._closed:
            return self._outbox.is_empty
        deadline = time.monotonic() + timeout
        is_sent = self.flush(timeout)
        self._closed = True
        thread = self._thread
        self._wake()
        if thread is not None and thread is not threading.current_thread():
            # It may be in the middle of a request that takes longer; what it carries is kept or counted all the same.
            thread.join(max(0.0, deadline - time.monotonic()) if is_sent else 0.0)
        self._abandon()
        self._transport.close()
        return is_sent

    def _abandon(self) -> None:
        with self._ending:
            self._outbox.abandon()
            self._ledger.say(time.monotonic(), at_once=True)

    def retire(self) -> None:
        """The client is gone: send what waits, then end."""
        self._retired = True
        if self._thread is None:
            self._transport.close()
        else:
            self._wake()

    def after_fork(self) -> None:
        """In the child: new locks and connections, and nothing of what the parent still has and sends."""
        self._transport.forget()
        self._ledger.forget()
        self._outbox.forget()
        self._renew()

    def _renew(self) -> None:
        self._process_id = os.getpid()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._stepping = threading.Lock()
        self._ending = threading.Lock()
        self._signals: SimpleQueue[None] = SimpleQueue()
        self._flushers: list[threading.Lock] = []
        self._idle = False
        self._eager = False
        self._impatient = False

    def _wake(self) -> None:
        # SimpleQueue may be used in a finalizer that interrupts its own put; an Event may not.
        if self._signals.empty():
            self._signals.put(None)

    def _start(self) -> None:
        # A finalizer may come here while this very thread is starting one: it must not wait for itself.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="fluxgate-delivery", daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError:
                    self._thread = None
                    logger.debug("[fluxgate] no thread can be started; sending on the calling thread")
                    self._flush_here(EXIT_SECONDS)
                _flush_when_a_child_ends()
        finally:
            self._starting.release()

    def _run(self) -> None:
        while not self._closed:
            delay = self._stepped()
            # Taken before the look: who comes after it may have handed over something in between.
            flushers = [*self._flushers]
            if self._outbox.is_empty:
                self._drained(flushers)
                if self._retired:
                    break
            self._idle = delay is None
            if self._outbox.intake and self._idle:
                continue
            try:
                self._signals.get(timeout=IDLE_SECONDS if delay is None else delay)
            except Empty:
                if delay is None:
                    break
        self._end()

    def _stepped(self) -> float | None:
        impatient, self._impatient = self._impatient, False
        eager = self._eager or self._retired or bool(self._flushers)
        with self._stepping:
            return self._step(eager, impatient, None)

    def _step(self, eager: bool, impatient: bool, until: float | None) -> float | None:
        try:
            return self._outbox.step(eager=eager, impatient=impatient, until=until)
        except Exception:
            logger.exception("[fluxgate] delivery failed on an error of its own")
            self._outbox.skip()
            return FAULT_SECONDS

    def _drained(self, flushers: list[threading.Lock]) -> None:
        self._eager = False
        for gate in flushers:
            with suppress(ValueError):  # It has waited long enough, and gone.
                self._flushers.remove(gate)
                gate.release()

    def _end(self) -> None:
        self._idle = False
        self._thread = None
        self._transport.close()
        if self._closed:
            # What it had in hand while `close` gave up the rest.
            self._abandon()
        elif self._outbox.intake or self._flushers:
            # What was handed over while this thread was on its way out has seen it alive.
            self._start()

    def _flush_here(self, timeout: float) -> bool:
        """Flush on the calling thread: there is no other."""
        deadline = time.monotonic() + timeout
        impatient = True
        while not self._outbox.is_empty and (left := deadline - time.monotonic()) > 0:
            if not self._stepping.acquire(timeout=left):
                break
            try:
                delay = self._step(True, impatient, deadline)
            finally:
                self._stepping.release()
            impatient = False
            left = deadline - time.monotonic()
            if delay and left > 0:
                time.sleep(min(delay, left))
        return self._outbox.is_empty


_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()
_child_process_id = 0


def _close_all() -> None:
    """At the end of the program: two seconds for all clients together."""
    deadline = time.monotonic() + EXIT_SECONDS
    for delivery in list(_deliveries):
        try:
            delivery.close(max(0.0, deadline - time.monotonic()))
        except Exception:
            logger.debug("[fluxgate] could not be closed", exc_info=True)


def _flush_when_a_child_ends() -> None:
    """A child of multiprocessing ends without atexit; it runs finalizers of its own."""
    global _child_process_id
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is None or process is None or process.parent_process() is None or _child_process_id == os.getpid():
        return
    _child_process_id = os.getpid()
    util.Finalize(None, _close_all, exitpriority=10)


def _after_fork() -> None:
    for delivery in list(_deliveries):
        try:
            delivery.after_fork()
        except Exception:
            logger.debug("[fluxgate] could not be taken through a fork", exc_info=True)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
