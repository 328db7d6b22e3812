"""Webhooks, against a real server on this machine: who is told, how it is signed, what is tried again and how often."""

import base64
import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from django.db import transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from events.models import Organization
from events.runtime import database_conninfo
from metering import invoicing, webhook_sending, webhook_signature, webhooks
from metering import webhook_jobs as jobs
from metering.models import Plan, Subscription, WebhookDelivery, WebhookEndpoint
from tests.factories import OrganizationFactory, TrackedUserFactory

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SHORT = 0.3


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that answers with the next of `answers`, the last one for ever; a status, or what to do instead."""

    answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=lambda: [200])
    received: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?from=fluxgate"


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as running:
        yield running


@pytest.fixture
def organization(db: None) -> Organization:
    made: Organization = OrganizationFactory()
    return made


def endpoint_of(organization: Organization, url: str, **fields: Any) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        organization=organization, url=url, secret=webhook_signature.new_secret(), **fields
    )


def announce(organization: Organization, **data: Any) -> None:
    webhooks.announce(organization.pk, "invoice.finalized", data or {"number": "INV-1"}, NOW)


def send(at: datetime = NOW, should_stop: Callable[[], bool] = lambda: False) -> None:
    webhook_sending.run_pending(should_stop, lambda: at, SHORT)


def is_signed(secret: str, received: Received) -> bool:
    """As https://github.com/standard-webhooks/standard-webhooks has it for those who receive."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each, f"v1,{expected}") for each in received.headers["webhook-signature"].split(" "))


def test_a_message_is_signed_and_delivered(organization: Organization, receiver: Receiver) -> None:
    endpoint = endpoint_of(organization, receiver.url)
    announce(organization, number="INV-1", total_usd="12.50", customer="Größe 中文")
    send()
    (received,) = receiver.received
    delivery = WebhookDelivery.objects.get()
    assert received.path == "/hooks?from=fluxgate"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == f"msg_{delivery.message_id.hex}"
    assert received.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert is_signed(endpoint.secret, received)
    assert not is_signed(webhook_signature.new_secret(), received)
    assert json.loads(received.body) == {
        "type": "invoice.finalized",
        "timestamp": "2026-11-30T12:00:00.000Z",
        "data": {"number": "INV-1", "total_usd": "12.50", "customer": "Größe 中文"},
    }
    assert (delivery.tries, delivery.http_status, delivery.delivered_at, delivery.next_try_at, delivery.problem) == (
        1,
        200,
        NOW,
        None,
        "",
    )


def test_the_example_of_the_specifications_libraries() -> None:
    found = webhook_signature.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_are_as_the_specification_wants_them() -> None:
    first, second = webhook_signature.new_secret(), webhook_signature.new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 24


def test_only_active_endpoints_of_the_organization_are_told(organization: Organization, receiver: Receiver) -> None:
    endpoint_of(organization, receiver.url)
    endpoint_of(organization, receiver.url + "&second")
    endpoint_of(organization, receiver.url, is_active=False)
    endpoint_of(OrganizationFactory(), receiver.url)
    announce(organization)
    send()
    assert sorted(received.path for received in receiver.received) == [
        "/hooks?from=fluxgate",
        "/hooks?from=fluxgate&second",
    ]
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 2


def test_nobody_is_told_of_what_was_rolled_back(organization: Organization) -> None:
    endpoint_of(organization, "http://127.0.0.1:9/")
    with transaction.atomic():
        announce(organization)
        assert ProcrastinateJob.objects.filter(task_name="metering.send_webhooks").count() == 1
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.exists()
    assert not ProcrastinateJob.objects.exists()


def test_without_endpoints_nothing_is_queued(organization: Organization) -> None:
    announce(organization)
    assert not ProcrastinateJob.objects.exists()


def test_an_unknown_type_is_a_mistake(organization: Organization) -> None:
    with pytest.raises(ValueError, match="not a type of event"):
        webhooks.announce(organization.pk, "invoice.paid", {}, NOW)


def test_500_then_200(organization: Organization, receiver: Receiver) -> None:
    endpoint = endpoint_of(organization, receiver.url)
    receiver.answers = [500, 200]
    announce(organization)
    send()
    failed = WebhookDelivery.objects.get()
    assert (failed.tries, failed.http_status, failed.problem) == (1, 500, "The endpoint answered 500.")
    assert failed.next_try_at is not None
    assert timedelta(seconds=5) <= failed.next_try_at - NOW <= timedelta(seconds=6)
    send(NOW + timedelta(seconds=4))
    assert len(receiver.received) == 1
    send(NOW + timedelta(seconds=7))
    first, second = receiver.received
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert is_signed(endpoint.secret, second)
    delivered = WebhookDelivery.objects.get()
    assert (delivered.tries, delivered.next_try_at, delivered.problem) == (2, None, "")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(organization: Organization, receiver: Receiver, status: int) -> None:
    endpoint_of(organization, receiver.url)
    receiver.answers = [status]
    announce(organization)
    send()
    assert len(receiver.received) == 1
    assert WebhookDelivery.objects.get().problem == f"The endpoint answered {status}; redirects are not followed."


def test_tries_grow_apart_and_end(
    organization: Organization, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = endpoint_of(organization, receiver.url)
    receiver.answers = [503]
    announce(organization, number="a secret number")
    at, waits = NOW, []
    with caplog.at_level(logging.DEBUG):
        while True:
            send(at)
            delivery = WebhookDelivery.objects.get()
            if delivery.next_try_at is None:
                break
            waits.append((delivery.next_try_at - at).total_seconds())
            at = delivery.next_try_at
    assert len(receiver.received) == delivery.tries == 7
    for waited, wanted in zip(waits, (5, 60, 600, 3_600, 21_600, 86_400), strict=True):
        assert wanted <= waited <= 1.2 * wanted
    assert delivery.problem == "Given up after 7 tries. The endpoint answered 503."
    assert delivery.delivered_at is None
    send(at + timedelta(days=30))
    assert len(receiver.received) == 7
    assert "given up" in caplog.text
    assert "a secret number" not in caplog.text
    assert endpoint.secret not in caplog.text


def never(handler: BaseHTTPRequestHandler) -> None:
    """Answer only when the other side has gone."""
    handler.connection.recv(1)
    handler.close_connection = True


def drop_by_drop(handler: BaseHTTPRequestHandler) -> None:
    """A byte at a time, each well within the timeout, without end."""
    handler.close_connection = True
    stop = threading.Event()
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not stop.wait(SHORT / 5):
            handler.wfile.write(b"x")
    except OSError:
        pass


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (never, "The endpoint did not answer in time."),
        (drop_by_drop, "The endpoint did not answer in time."),
        (hang_up, "The endpoint could not be reached (RemoteProtocolError)."),
        (garbage, "The endpoint could not be reached (RemoteProtocolError)."),
    ],
)
def test_a_server_that_does_not_answer(
    organization: Organization, receiver: Receiver, answer: Callable[[BaseHTTPRequestHandler], None], problem: str
) -> None:
    endpoint_of(organization, receiver.url)
    receiver.answers = [answer]
    announce(organization)
    send()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.tries, delivery.http_status, delivery.problem) == (1, None, problem)
    assert delivery.next_try_at


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "http://no-such-host.invalid/"]
)
def test_nobody_is_there(organization: Organization, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint_of(organization, url.format(port=port))
    announce(organization)
    send()
    assert WebhookDelivery.objects.get().problem == "The endpoint could not be reached (ConnectError)."


def test_a_long_answer_is_not_read(organization: Organization, receiver: Receiver) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    endpoint_of(organization, receiver.url)
    receiver.answers = [endless]
    announce(organization)
    send()
    assert WebhookDelivery.objects.get().delivered_at == NOW


def test_a_slow_endpoint_does_not_hold_up_the_others(organization: Organization, receiver: Receiver) -> None:
    with receiving(Receiver(answers=[never])) as slow:
        endpoint_of(organization, slow.url)
        endpoint_of(organization, receiver.url)
        for number in range(5):
            announce(organization, number=number)
        send()
    assert len(receiver.received) == 5
    # One of the five was tried; the others wait for a minute without having used up a try.
    assert len(slow.received) == 1
    waiting = WebhookDelivery.objects.filter(endpoint__url=slow.url)
    assert sorted(waiting.values_list("tries", flat=True)) == [0, 0, 0, 0, 1]
    assert {each.next_try_at for each in waiting if not each.tries} == {NOW + webhook_sending.PAUSE}


def test_messages_of_an_endpoint_come_in_order(organization: Organization, receiver: Receiver) -> None:
    endpoint_of(organization, receiver.url)
    for number in range(25):
        announce(organization, number=number)
    send()
    assert [json.loads(received.body)["data"]["number"] for received in receiver.received] == list(range(25))


def test_an_endpoint_that_was_switched_off_gets_nothing_more(organization: Organization, receiver: Receiver) -> None:
    endpoint = endpoint_of(organization, receiver.url)
    announce(organization)
    WebhookEndpoint.objects.update(is_active=False)
    send()
    delivery = WebhookDelivery.objects.get()
    assert (receiver.received, delivery.next_try_at, delivery.problem) == ([], None, "The endpoint was switched off.")
    assert webhooks.send_again([delivery.pk], NOW) == 0
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(is_active=True)
    send()
    assert receiver.received == []
    assert webhooks.send_again([delivery.pk], NOW) == 1
    send()
    assert len(receiver.received) == 1


def test_sent_again_it_keeps_its_id_and_has_all_its_tries(organization: Organization, receiver: Receiver) -> None:
    endpoint_of(organization, receiver.url)
    announce(organization)
    WebhookDelivery.objects.update(tries=7, next_try_at=None, problem="Given up", http_status=500)
    before = WebhookDelivery.objects.get()
    assert webhooks.send_again([before.pk], NOW) == 1
    again = WebhookDelivery.objects.get()
    assert (again.message_id, again.tries, again.problem, again.http_status) == (before.message_id, 0, "", None)
    send()
    assert WebhookDelivery.objects.get().delivered_at == NOW


def test_a_stopped_worker_sends_no_more(organization: Organization, receiver: Receiver) -> None:
    endpoint_of(organization, receiver.url)
    for _ in range(5):
        announce(organization)
    send(should_stop=lambda: len(receiver.received) >= 2)
    assert len(receiver.received) == 2
    send()
    assert len(receiver.received) == 5


def test_two_workers_never_send_one_at_the_same_time(committed_db: None) -> None:
    organization = OrganizationFactory()
    with receiving(Receiver()) as receiver:
        endpoint_of(organization, receiver.url)
        announce(organization)
        with psycopg.connect(database_conninfo()) as other:
            other.execute("SELECT FROM webhook_delivery FOR NO KEY UPDATE")
            send()
            assert receiver.received == []
            assert webhooks.send_again(WebhookDelivery.objects.values_list("pk", flat=True), NOW) == 0
        send()
        assert len(receiver.received) == 1


def test_what_happens_to_an_invoice_is_told(organization: Organization) -> None:
    endpoint_of(organization, "https://a.example/")
    customer = TrackedUserFactory(organization=organization, external_id="cust_1")
    plan = Plan.objects.create(organization=organization, name="Team", fee_usd=Decimal(29))
    Subscription.objects.create(tracked_user=customer, plan=plan, starts_on=date(2026, 1, 1))
    first = invoicing.open_draft(organization.pk, customer.pk, datetime(2026, 9, 15, tzinfo=UTC))
    invoicing.finalize(first.pk, organization.pk, NOW)
    invoicing.credit(first.pk, organization.pk, Decimal(9), "Too much.", NOW)
    second = invoicing.open_draft(organization.pk, customer.pk, datetime(2026, 10, 15, tzinfo=UTC))
    invoicing.finalize(second.pk, organization.pk, NOW)
    invoicing.void(second.pk, organization.pk, "Wrong.", NOW)
    told = [(each.event_type, each.payload["data"]) for each in WebhookDelivery.objects.order_by("pk")]
    assert [event_type for event_type, _ in told] == [
        "invoice.created",
        "invoice.finalized",
        "credit_note.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.voided",
    ]
    assert (told[0][1]["number"], told[0][1]["total_usd"], told[0][1]["customer_external_id"]) == (None, None, "cust_1")
    finalized = told[1][1]
    assert (finalized["number"], finalized["total_usd"], finalized["status"]) == ("INV-000001", "29.00", "finalized")
    assert (finalized["period_start"], finalized["period_end"]) == ("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    assert (told[2][1]["amount_usd"], told[2][1]["invoice"]["number"]) == ("9.00", "INV-000001")
    assert told[5][1]["voided_at"] == "2026-11-30T12:00:00Z"


def test_a_retry_is_queued_for_its_time_beside_new_messages(
    organization: Organization, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_of(organization, receiver.url)
    receiver.answers = [500]
    webhooks.announce(organization.pk, "invoice.created", {}, datetime.now(UTC))
    ProcrastinateJob.objects.all().delete()
    context: Any = type("Context", (), {"should_abort": staticmethod(lambda: False)})
    jobs.send_webhooks.func(context)
    jobs.tend_webhooks.func(context, 0)
    job = ProcrastinateJob.objects.get()
    assert (job.task_name, job.scheduled_at) == (
        "metering.retry_webhooks",
        WebhookDelivery.objects.get().next_try_at,
    )
    webhooks.announce(organization.pk, "invoice.created", {}, datetime.now(UTC))
    assert ProcrastinateJob.objects.filter(task_name="metering.send_webhooks", scheduled_at=None).count() == 1


def test_what_is_due_is_looked_for_every_minute() -> None:
    planned = app.periodic_registry.periodic_tasks.values()
    assert (jobs.tend_webhooks.name, "* * * * *") in {(each.task.name, each.cron) for each in planned}
