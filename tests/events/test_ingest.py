"""The ingest endpoints against a real database: answers, what is stored, what is refused and listed."""

import gzip
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from events import rollups
from events.models import ApiKey, Environment, Event, Organization, RejectedCall, RevenueChange, Scope, TrackedUser
from events.models.event import Flag, public_id
from tests.native_client import NativeClient, make_key
from tests.wire_client import event


def only_event() -> Event:
    return Event.objects.get()


def recent(**delta: float) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


def test_the_example_of_the_contract_costs_what_it_must(ingest: NativeClient) -> None:
    response = ingest.post("/api/events", event())
    assert response.status == 200
    assert b'"cost":0.00525,' in response.raw
    assert response.body["status"] == "SUCCESS"
    assert re.fullmatch(r"evt_[0-9a-f]{12}7[0-9a-f]{19}", response.body["id"])
    stored = only_event()
    assert public_id(stored.id) == response.body["id"]
    assert (int(stored.cost_picousd or 0), stored.price_status, stored.feature) == (
        5_250_000_000,
        "priced",
        "chat-assistant",
    )
    assert (stored.input_tokens, stored.cached_tokens, stored.output_tokens) == (1200, 1000, 350)
    assert (stored.organization_id, stored.environment, stored.flags) == (ingest.organization.id, 0, 0)
    assert stored.received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z") == response.body["createdAt"]
    assert TrackedUser.objects.get().id == stored.tracked_user_id
    assert rollups.audit() == []


def test_the_id_holds_the_time_of_the_call(ingest: NativeClient) -> None:
    at = datetime.now(UTC).replace(microsecond=250_000) - timedelta(days=20)
    ingest.post("/api/events", event() | {"metadata": {"timestamp": at.isoformat()}})
    stored = only_event()
    assert stored.occurred_at == at
    assert stored.received_at > at
    assert stored.slot == stored.id.int & 0xFF


def test_an_unknown_model_is_kept_without_a_cost(ingest: NativeClient) -> None:
    response = ingest.post("/api/events", event(model="experimental-1", provider="nobody"))
    assert response.body["cost"] is None
    assert only_event().cost_picousd is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(unpriced), sum(cost_picousd) FROM usage_day_now WHERE kind = 'total'")
        assert cursor.fetchone() == (1, 0)


def test_wrong_fields_are_named_nothing_is_stored_and_people_can_see_it(ingest: NativeClient) -> None:
    response = ingest.post("/api/events", event(inputTokens="12") | {"status": "fine"})
    assert response.status == 422
    assert set(response.field_errors) == {"usage.inputTokens", "status"}
    assert response.field_errors["usage.inputTokens"] == "must be an integer, got a string"
    assert response.body["error"]["message"].startswith("usage.inputTokens: must be an integer, got a string")
    assert response.headers["x-request-id"] == response.body["error"]["requestId"]
    assert not Event.objects.exists()
    ingest.flush_rejections()
    call = RejectedCall.objects.get()
    assert (call.organization_id, call.http_status, call.endpoint) == (ingest.organization.id, 422, "/api/events")
    assert "usage.inputTokens" in call.message
    assert call.key_prefix == ingest.key[:15]


def test_secrets_are_taken_out_of_the_listed_excerpt(ingest: NativeClient) -> None:
    planted = {"metadata": {"a": ingest.key, "b": "sk-abcdefghijklmnop", "c": "Bearer abc.def"}, "usage": 5}
    ingest.post("/api/events", planted)
    ingest.flush_rejections()
    excerpt = RejectedCall.objects.get().excerpt
    assert excerpt.count("[removed]") == 3
    for secret in (ingest.key, "sk-abcdefghijklmnop", "abc.def"):
        assert secret not in excerpt


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"authorization": ""}, 401, "no API key"),
        ({"authorization": "Bearer"}, 401, "no API key"),
        ({"authorization": "Basic abc"}, 401, "no API key"),
        ({"authorization": "Bearer null"}, 401, "form or its checksum"),
        ({"authorization": "Bearer org_live_" + "0" * 38}, 401, "form or its checksum"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "Content-Type must be application/json"),
        ({"content-type": "multipart/form-data"}, 415, "Content-Type"),
        ({"content-type": "application/xml"}, 415, "Content-Type"),
        ({"content-encoding": "br"}, 415, "Content-Encoding"),
        ({"content-length": "300000"}, 413, "larger than 256 KiB"),
        ({"idempotency-key": "x" * 300}, 422, "Idempotency-Key: must have at most 255 characters"),
    ],
)
def test_refusals_by_header(ingest: NativeClient, headers: dict[str, str], status: int, message: str) -> None:
    response = ingest.post("/api/events", event(), headers=headers)
    assert response.status == status
    assert message in response.body["error"]["message"]
    assert (response.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "headers", [{"authorization": "", "x-api-key": "KEY"}, {"x-api-key": "KEY"}, {"content-type": ""}]
)
def test_the_key_may_stand_in_either_header(ingest: NativeClient, headers: dict[str, str]) -> None:
    sent = {name: ingest.key if value == "KEY" else value for name, value in headers.items()}
    assert ingest.post("/api/events", event(), headers=sent).status == 200


def test_two_different_keys_contradict_each_other(ingest: NativeClient) -> None:
    other = make_key(ingest.organization)
    assert ingest.post("/api/events", event(), headers={"x-api-key": other}).status == 401


def test_the_key_is_judged_before_the_body(ingest: NativeClient) -> None:
    unread = b"{" * 1_000_000
    response = ingest.post("/api/events", unread, headers={"authorization": "Bearer nonsense"})
    assert response.status == 401


def test_revoked_expired_and_unscoped_keys(ingest: NativeClient) -> None:
    now = datetime.now(UTC)
    revoked = make_key(ingest.organization, revoked_at=now)
    expired = make_key(ingest.organization, expires_at=now)
    reading = make_key(ingest.organization, scopes=[Scope.READ])
    answers = [ingest.post("/api/events", event(), key=key) for key in (revoked, expired, reading)]
    assert [answer.status for answer in answers] == [401, 401, 403]
    messages = [answer.body["error"]["message"] for answer in answers]
    assert messages == [
        "this API key was revoked",
        "this API key has expired",
        "this API key lacks the scope events:write",
    ]
    assert not Event.objects.exists()


def test_a_test_key_records_into_the_test_environment(ingest: NativeClient) -> None:
    key = make_key(ingest.organization, environment=Environment.TEST)
    ingest.post("/api/events", event(), key=key)
    assert only_event().environment == Environment.TEST


def test_the_use_of_a_key_is_noted(ingest: NativeClient) -> None:
    ingest.post("/api/events", event())
    assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/api/events", 405, "POST"),
        ("PUT", "/api/events/batch", 405, "POST"),
        ("POST", "/api/event", 404, None),
        ("POST", "/api/events/", 200, None),
    ],
)
def test_methods_and_paths(ingest: NativeClient, method: str, path: str, status: int, allow: str | None) -> None:
    response = ingest.post(path, event(), method=method)
    assert (response.status, response.headers.get("allow")) == (status, allow)


def test_a_body_is_cut_off_at_its_limit_while_it_arrives(ingest: NativeClient) -> None:
    big = event() | {"metadata": {"x": "y" * 256 * 1024}}
    response = ingest.post("/api/events", big, chunk=10_000)
    assert response.status == 413
    assert response.headers["connection"] == "close"
    fits = event() | {"metadata": {"x": "y" * 250 * 1024}}
    assert ingest.post("/api/events", fits).status == 200


def test_gzip_is_read_and_a_bomb_is_not(ingest: NativeClient) -> None:
    assert ingest.post("/api/events", event(), compress=True, chunk=7).status == 200
    bomb = gzip.compress(b" " * 50_000_000)
    response = ingest.post("/api/events", bomb, headers={"content-encoding": "gzip"})
    assert response.status == 413
    two = gzip.compress(json.dumps(event()).encode()[:50]) + gzip.compress(json.dumps(event()).encode()[50:])
    assert ingest.post("/api/events", two, headers={"content-encoding": "gzip"}, chunk=11).status == 200
    trailing = gzip.compress(b"{}") + b"x" * 300_000
    assert ingest.post("/api/events", trailing, headers={"content-encoding": "gzip"}).status in (400, 413)
    torn = gzip.compress(json.dumps(event()).encode())[:-9]
    assert ingest.post("/api/events", torn, headers={"content-encoding": "gzip"}).status == 400
    assert ingest.post("/api/events", b"no gzip", headers={"content-encoding": "gzip"}).status == 400


@pytest.mark.parametrize("raw", [b"", b"nonsense", b'{"usage": ', b"\xff\xfe", b'{"a": NaN}'])
def test_what_is_not_json_is_400(ingest: NativeClient, raw: bytes) -> None:
    response = ingest.post("/api/events", raw)
    assert response.status == 400
    assert response.body["error"]["type"] == "malformed_body"


def test_metadata_comes_back_from_the_database_digit_by_digit(ingest: NativeClient) -> None:
    raw = (
        b'{"usage":{"inputTokens":1,"outputTokens":1},"metadata":{"feature":"f","n":0.1234567890123456789012,'
        b'"big":123456789012345678901234567890,"deep":{"list":[1,2.50,{"x":null}],"text":"tab\\tback\\\\slash\\nline"},'
        b'"__proto__":1,"nul":"a\\u0000b"}}'
    )
    assert ingest.post("/api/events", raw).status == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT metadata::text FROM event")
        text = cursor.fetchone()[0]
    assert '"n": 0.1234567890123456789012' in text
    assert '"big": 123456789012345678901234567890' in text
    assert '"list": [1, 2.50, {"x": null}]' in text
    stored = json.loads(text)
    assert stored["deep"]["text"] == "tab\tback\\slash\nline"
    assert stored["nul"] == "a�b"
    assert set(stored) == {"n", "big", "deep", "__proto__", "nul"}
    assert only_event().flags == Flag.TEXT_CLEANED


HOSTILE = "tab\tnew\nline\\N \\. back\\slash \r'\"; DROP TABLE event; -- ‮ \U0001f468‍\U0001f469‍\U0001f467"


def test_hostile_text_is_stored_as_it_is(ingest: NativeClient) -> None:
    words = {"feature": HOSTILE, "step": "\\N", "sessionId": "\\.", "user": HOSTILE}
    sent = event(model=HOSTILE, provider=HOSTILE) | {
        "status": {"status": "ERROR", "errorMessage": HOSTILE},
        "metadata": words,
    }
    assert ingest.post("/api/events", sent).status == 200
    stored = only_event()
    assert (stored.feature, stored.step, stored.session_id, stored.model) == (HOSTILE, "\\N", "\\.", HOSTILE)
    assert (stored.provider, stored.error_message) == (HOSTILE, HOSTILE)
    assert TrackedUser.objects.get().external_id == HOSTILE
    assert rollups.audit() == []


def test_counters_meant_exclusively_become_parts_and_are_flagged(ingest: NativeClient) -> None:
    usage = {
        "inputTokens": 10,
        "outputTokens": 5,
        "cachedTokens": 100,
        "cacheWriteTokens": 50,
        "reasoningTokens": 20,
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
    }
    assert ingest.post("/api/events", {"usage": usage}).status == 200
    stored = only_event()
    assert (stored.input_tokens, stored.output_tokens) == (160, 25)
    assert stored.flags == Flag.INPUT_TOKENS_EXCLUSIVE | Flag.REASONING_TOKENS_EXCLUSIVE


def test_the_provider_s_own_usage_is_read_and_kept(ingest: NativeClient) -> None:
    own = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 5,
    }
    usage = {"provider": "anthropic", "model": "claude-sonnet-4-5", "apiFlavor": "messages", "providerUsage": own}
    response = ingest.post("/api/events", {"usage": usage})
    assert response.status == 200, response.body
    stored = only_event()
    assert (stored.input_tokens, stored.cached_tokens, stored.cache_write_tokens) == (160, 100, 50)
    assert (stored.cache_write_1h_tokens, stored.output_tokens) == (30, 5)
    assert (stored.provider_usage, stored.api_flavor) == (own, "messages")


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ({"prompt_tokens": 2**60, "completion_tokens": 1}, "input_tokens must be from 0 to"),
        ({"prompt_tokens": 1.5, "completion_tokens": 1}, "input_tokens must be an integer"),
        ({"prompt_tokens": -1, "completion_tokens": 1}, "input_tokens"),
        ({"prompt_tokens": "1", "completion_tokens": 1}, "prompt_tokens"),
        ({}, "prompt_tokens"),
    ],
)
def test_a_provider_s_usage_that_cannot_be_is_refused(
    ingest: NativeClient, usage: dict[str, Any], message: str
) -> None:
    sent = {"provider": "openai", "model": "gpt-4o", "apiFlavor": "chat", "providerUsage": usage}
    response = ingest.post("/api/events", {"usage": sent})
    assert response.status == 422
    assert message in response.field_errors["usage.providerUsage"]


def test_what_a_library_cannot_read_is_refused_not_retried(ingest: NativeClient) -> None:
    own = {"promptTokenCount": 1, "candidatesTokenCount": 1, "promptTokensDetails": [{"modality": 1}]}
    usage = {"provider": "google", "model": "gemini-2.5-pro", "providerUsage": own}
    assert ingest.post("/api/events", {"usage": usage}).status in (200, 422)


def test_a_key_in_the_path_is_not_kept(ingest: NativeClient) -> None:
    for path in (f"/api/events/{ingest.key}", "/api/events\x00"):
        assert ingest.post(path, event()).status == 404
    ingest.post("/api/events", event(inputTokens=-1))
    ingest.flush_rejections()
    assert RejectedCall.objects.count() == 1


def test_the_same_key_stores_once_and_answers_the_same(ingest: NativeClient) -> None:
    first = ingest.post("/api/events", event(), headers={"idempotency-key": "k"})
    again = ingest.post("/api/events", event(inputTokens=5000) | {"idempotencyKey": " k "})
    assert (first.status, again.status) == (200, 200)
    assert again.raw == first.raw
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert Event.objects.count() == 1
    assert rollups.audit() == []


def test_a_refused_event_does_not_burn_its_key(ingest: NativeClient) -> None:
    assert ingest.post("/api/events", event(inputTokens=-1), headers={"idempotency-key": "k"}).status == 422
    assert ingest.post("/api/events", event(), headers={"idempotency-key": "k"}).status == 200
    assert Event.objects.count() == 1


def test_keys_of_two_organizations_are_two_keys(ingest: NativeClient) -> None:
    other = make_key(Organization.objects.create(name="Other", slug="other"))
    for key in (ingest.key, other):
        ingest.post("/api/events", event(), key=key, headers={"idempotency-key": "k"})
    assert Event.objects.count() == 2


def test_many_at_once_share_commits_and_each_is_stored(ingest: NativeClient) -> None:
    bodies = [event(inputTokens=2000 + number) for number in range(300)]
    answers = ingest.post_together("/api/events", bodies)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["id"] for answer in answers}) == Event.objects.count() == 300
    assert Event.objects.values("slot").distinct().count() < 100
    assert rollups.audit() == []
    assert rollups.fold_now() == 300
    assert rollups.audit() == []
    assert rollups.rebuild() == 300
    assert rollups.audit() == []


def test_the_same_key_twice_in_one_commit(ingest: NativeClient) -> None:
    answers = ingest.post_together("/api/events", [event() | {"idempotencyKey": "k"} for _ in range(20)])
    assert len({answer.raw for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    assert Event.objects.count() == 1


def test_a_batch_stores_the_good_and_names_the_bad(ingest: NativeClient) -> None:
    events: list[Any] = [event(), event(inputTokens="12"), 5, event() | {"idempotencyKey": "k"}]
    response = ingest.post("/api/events/batch", {"events": [*events, event() | {"idempotencyKey": "k"}]})
    assert response.status == 200
    body = response.body
    assert (body["accepted"], body["rejected"]) == (3, 2)
    assert [result["status"] for result in body["results"]] == ["SUCCESS", "ERROR", "ERROR", "SUCCESS", "SUCCESS"]
    assert body["results"][1]["error"]["errors"][0]["field"] == "usage.inputTokens"
    assert body["results"][3] == body["results"][4]
    assert Event.objects.count() == 2
    ingest.flush_rejections()
    assert RejectedCall.objects.count() == 2
    assert rollups.audit() == []


def test_a_batch_as_lines_of_json(ingest: NativeClient) -> None:
    lines = "\n".join(json.dumps(event()) for _ in range(3)) + "\nnonsense\n"
    response = ingest.post("/api/events/batch", lines.encode(), headers={"content-type": "application/x-ndjson"})
    assert (response.body["accepted"], response.body["rejected"]) == (3, 1)


def test_the_bounds_of_a_batch(ingest: NativeClient) -> None:
    response = ingest.post("/api/events/batch", {"events": [event()] * 1000})
    assert (response.status, response.body["accepted"]) == (200, 1000)
    assert ingest.post("/api/events/batch", {"events": [event()] * 1001}).status == 413
    assert ingest.post("/api/events/batch", {"events": [{"x": "y" * 5_300_000}]}).status == 413
    assert ingest.post("/api/events/batch", {"events": []}).body == {"accepted": 0, "rejected": 0, "results": []}
    assert ingest.post("/api/events/batch", {}).status == 422


def test_a_header_key_makes_a_whole_batch_safe_to_repeat(ingest: NativeClient) -> None:
    batch = {"events": [event(), event()]}
    first = ingest.post("/api/events/batch", batch, headers={"idempotency-key": "b"})
    again = ingest.post("/api/events/batch", batch, headers={"idempotency-key": "b"})
    assert first.raw == again.raw
    assert Event.objects.count() == 2


def test_tracked_users_are_described_by_the_newest_event_and_only_by_what_it_sent(ingest: NativeClient) -> None:
    def send(user: Any, hours_ago: float) -> None:
        metadata = {"user": user, "timestamp": recent(hours=hours_ago)}
        assert ingest.post("/api/events", event() | {"metadata": metadata}).status == 200

    send("u1", 9)
    send({"id": "u1", "name": "Northwind", "email": "billing@northwind.example", "monthlyRevenue": 49}, 8)
    send({"id": "u1", "name": "Northwind Traders"}, 6)
    send({"id": "u1", "name": "Late Old Name", "monthlyRevenue": 49}, 7)
    send({"id": "u1", "monthlyRevenue": 99.5}, 2)
    user = TrackedUser.objects.get()
    assert (user.name, user.email) == ("Northwind Traders", "billing@northwind.example")
    history = RevenueChange.objects.order_by("effective_at").values_list("monthly_revenue_usd", flat=True)
    assert list(history) == [Decimal(49), Decimal("99.5")]


def test_revenue_that_goes_up_and_back_within_one_commit_keeps_both_changes(ingest: NativeClient) -> None:
    def paying(amount: float, hours_ago: float) -> dict[str, Any]:
        user = {"id": "u1", "monthlyRevenue": amount}
        return event() | {"metadata": {"user": user, "timestamp": recent(hours=hours_ago)}}

    ingest.post("/api/events", paying(49, 9))
    ingest.post("/api/events/batch", {"events": [paying(59, 3), paying(49, 2)]})
    history = RevenueChange.objects.order_by("effective_at").values_list("monthly_revenue_usd", flat=True)
    assert list(history) == [49, 59, 49]


def test_an_older_description_that_comes_late_changes_nothing(ingest: NativeClient) -> None:
    for name, hours_ago in (("A", 4), ("A", 1), ("B", 3)):
        metadata = {"user": {"id": "u1", "name": name}, "timestamp": recent(hours=hours_ago)}
        ingest.post("/api/events", event() | {"metadata": metadata})
    assert TrackedUser.objects.get().name == "A"


def test_new_users_in_one_commit_are_made_once(ingest: NativeClient) -> None:
    bodies = [event() | {"metadata": {"user": {"id": f"u{number % 7}", "monthlyRevenue": 5}}} for number in range(100)]
    assert {answer.status for answer in ingest.post_together("/api/events", bodies)} == {200}
    assert TrackedUser.objects.count() == 7
    assert RevenueChange.objects.count() == 7


def test_enormous_counters_break_nothing(ingest: NativeClient) -> None:
    most = 2**53 - 1
    for _ in range(3):
        response = ingest.post("/api/events", event(inputTokens=most, outputTokens=most))
        assert response.status == 200
        assert response.body["cost"] > 1e10
    rollups.fold_now()
    assert rollups.audit() == []


def test_one_row_that_the_database_refuses_does_not_take_others_with_it(ingest: NativeClient) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event ADD CONSTRAINT no_seven CHECK (input_tokens <> 7777)")
    try:
        bodies = [event(inputTokens=7777 if number == 11 else 2000) for number in range(30)]
        answers = ingest.post_together("/api/events", bodies)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE event DROP CONSTRAINT no_seven")
    assert [answer.status for answer in answers].count(200) == 29
    assert answers[11].status == 422
    assert Event.objects.count() == 29
    assert rollups.audit() == []


def test_a_lost_connection_is_replaced_and_the_event_stored_once(ingest: NativeClient) -> None:
    ingest.post("/api/events", event())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    response = ingest.post("/api/events", event())
    assert response.status == 200
    assert Event.objects.count() == 2


def test_a_table_locked_for_long_is_answered_in_time_with_503_and_nothing_stored(ingest: NativeClient) -> None:
    ingest.post("/api/events", event())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        response = ingest.post("/api/events", event())
    assert response.status == 503
    assert response.headers["retry-after"] == "1"
    assert Event.objects.count() == 1
    assert ingest.post("/api/events", event()).status == 200
    assert Event.objects.count() == 2


@pytest.mark.skipif(settings.EMBEDDED_CLUSTER is None, reason="stops processes of the server, which must be ours")
def test_a_database_that_hangs_is_answered_for_within_the_sdk_s_five_seconds(ingest: NativeClient) -> None:
    ingest.post("/api/events", event())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        backends = [row[0] for row in cursor.fetchall()]
    asked_at = ingest.runner.get_loop().time()
    try:
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        response = ingest.post("/api/events", event())
        answered_at = ingest.runner.get_loop().time()
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
    assert response.status == 503
    # Not a measurement: without a limit of its own the answer came after 14 seconds or never.
    assert answered_at - asked_at < 10
    assert ingest.post("/api/events", event()).status == 200
    assert rollups.audit() == []
