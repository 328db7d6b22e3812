"""Sending webhooks that are due: the work behind metering/webhook_jobs.py.

A round takes some messages of every endpoint that has any, holds their rows, and sends to all endpoints at the same
time, to each in order. Two workers never send one message at once: a row that is held is passed over. A worker that
dies after sending and before its commit leaves the message due, so that it comes twice, with the same id.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final

import httpx2
from django.db import transaction
from django.db.models import Min

from metering import webhook_signature
from metering.models import WebhookDelivery, WebhookEndpoint

logger = logging.getLogger("fluxgate.webhooks")

TRY_AFTER: Final = tuple(timedelta(seconds=seconds) for seconds in (0, 5, 60, 600, 3_600, 6 * 3_600, 24 * 3_600))
"""How long after the try before; each wait but the first is up to a fifth longer, so that not all come at once."""
PAUSE: Final = timedelta(minutes=1)
"""For how long an endpoint that cannot be reached is left alone; its other messages wait, which is no try of theirs."""
TIMEOUT_SECONDS: Final = 10.0
"""For connecting, and for each part of the answer; twice that for all of it."""
ANSWER_BYTES: Final = 1_024
ENDPOINTS: Final = 50
MESSAGES: Final = 10
"""Of one endpoint in a round."""
SWITCHED_OFF: Final = "The endpoint was switched off."
_jitter = SystemRandom().random

ShouldStop = Callable[[], bool]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try; `problem` is '' when the message was delivered, `http_status` None without an answer."""

    delivery: WebhookDelivery
    at: datetime
    http_status: int | None
    problem: str = ""


def run_pending(should_stop: ShouldStop, clock: Clock, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Send what is due, round by round, until nothing is or the worker is told to stop."""
    _let_go(clock())
    while not should_stop() and _round(should_stop, clock, timeout_seconds):
        pass


def next_try_at() -> datetime | None:
    """When the next message is due, None when none waits."""
    waiting = WebhookDelivery.objects.filter(next_try_at__isnull=False, endpoint__is_active=True)
    found: datetime | None = waiting.aggregate(first=Min("next_try_at"))["first"]
    return found


def body_of(delivery: WebhookDelivery) -> bytes:
    """The message as it is signed and sent; the same at every try."""
    return json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()


def _let_go(now: datetime) -> None:
    """End the messages of endpoints that were switched off meanwhile."""
    due = WebhookDelivery.objects.filter(next_try_at__lte=now, endpoint__is_active=False)
    due.update(next_try_at=None, problem=SWITCHED_OFF)


def _round(should_stop: ShouldStop, clock: Clock, timeout_seconds: float) -> bool:
    """Whether anything was sent."""
    with transaction.atomic():
        queues = list(_claimed(clock()))
        outcomes = asyncio.run(_sent(queues, should_stop, clock, timeout_seconds)) if queues else []
        for outcome in outcomes:
            _note(outcome)
        for endpoint_id in {o.delivery.endpoint_id for o in outcomes if o.http_status is None}:
            _put_off(endpoint_id, clock(), [outcome.delivery.pk for outcome in outcomes])
    return bool(outcomes)


def _claimed(now: datetime) -> Iterator[list[WebhookDelivery]]:
    """The oldest due messages of each endpoint, their rows held until the transaction ends."""
    due = WebhookDelivery.objects.filter(next_try_at__lte=now, endpoint__is_active=True)
    endpoints = due.order_by().values("endpoint").annotate(first=Min("next_try_at")).order_by("first")
    for endpoint in endpoints[:ENDPOINTS]:
        of_endpoint = due.filter(endpoint=endpoint["endpoint"]).select_related("endpoint")
        held = of_endpoint.select_for_update(skip_locked=True, no_key=True, of=("self",))
        if queue := list(held.order_by("next_try_at", "pk")[:MESSAGES]):
            yield queue


async def _sent(
    queues: Sequence[Sequence[WebhookDelivery]], should_stop: ShouldStop, clock: Clock, timeout_seconds: float
) -> list[Outcome]:
    async with httpx2.AsyncClient(timeout=timeout_seconds, follow_redirects=False) as client:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds  # the others' next messages wait for the slowest endpoint

        async def in_order(queue: Sequence[WebhookDelivery]) -> list[Outcome]:
            outcomes: list[Outcome] = []
            for delivery in queue:
                if should_stop() or (outcomes and (outcomes[-1].http_status is None or loop.time() > end)):
                    break
                outcomes.append(await _tried(client, delivery, clock, 2 * timeout_seconds))
            return outcomes

        return [outcome for outcomes in await asyncio.gather(*map(in_order, queues)) for outcome in outcomes]


async def _tried(client: httpx2.AsyncClient, delivery: WebhookDelivery, clock: Clock, seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            status = await _posted(client, delivery.endpoint, delivery, clock())
    except (httpx2.TimeoutException, TimeoutError):
        return Outcome(delivery, clock(), None, "The endpoint did not answer in time.")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        # The kind alone: the text of some of them quotes the address, or what was answered.
        return Outcome(delivery, clock(), None, f"The endpoint could not be reached ({type(error).__name__}).")
    if 200 <= status < 300:
        return Outcome(delivery, clock(), status)
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    return Outcome(delivery, clock(), status, f"The endpoint answered {status}{hint}.")


async def _posted(
    client: httpx2.AsyncClient, endpoint: WebhookEndpoint, delivery: WebhookDelivery, sent_at: datetime
) -> int:
    body = body_of(delivery)
    headers = {
        **webhook_signature.headers(endpoint.secret, delivery.message_id, sent_at, body),
        "content-type": "application/json",
        "user-agent": "FluxGate",
        "accept-encoding": "identity",
    }
    async with client.stream("POST", endpoint.url, content=body, headers=headers) as answer:
        size = 0
        # Read a little, so that a receiver that answers shortly is not cut off while it writes.
        async for part in answer.aiter_raw():
            size += len(part)
            if size >= ANSWER_BYTES:
                break
        return int(answer.status_code)


def _note(outcome: Outcome) -> None:
    delivery = outcome.delivery
    delivery.tries += 1
    delivery.http_status = outcome.http_status
    delivery.problem = outcome.problem
    delivery.next_try_at = None
    if not outcome.problem:
        delivery.delivered_at = outcome.at
    elif delivery.tries < len(TRY_AFTER):
        delivery.next_try_at = outcome.at + TRY_AFTER[delivery.tries] * (1 + _jitter() / 5)
    else:
        delivery.problem = f"Given up after {delivery.tries} tries. {outcome.problem}"
        logger.warning("webhook delivery %s: given up after %s tries", delivery.pk, delivery.tries)
    delivery.save(update_fields=["tries", "http_status", "problem", "next_try_at", "delivered_at"])


def _put_off(endpoint_id: int, now: datetime, tried: Sequence[int]) -> None:
    due = WebhookDelivery.objects.filter(endpoint=endpoint_id, next_try_at__lte=now + PAUSE).exclude(pk__in=tried)
    held = due.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)
    WebhookDelivery.objects.filter(pk__in=list(held)).update(next_try_at=now + PAUSE)
