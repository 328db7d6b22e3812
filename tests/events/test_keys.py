import asyncio
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import fresh_cache, keys
from events.keys import KeyRecord, KeyRing

NOW = datetime(2026, 5, 5, 10, tzinfo=UTC)
# Keys outlive releases: this one, with the CRC32 of its first 41 characters (2,236,741,107) in base62, stays a key.
KNOWN = "org_live_000000000000000000000000000000002RN8XT"


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_key_has_the_form_of_the_contract(environment: str) -> None:
    key = keys.generate(environment)
    assert key.startswith(f"org_{environment}_")
    assert len(key) == keys.LENGTH == 47
    assert set(key[9:]) <= set(string.ascii_letters + string.digits)
    assert keys.is_well_formed(key)


def test_the_checksum_never_changes() -> None:
    assert keys.is_well_formed(KNOWN)


def test_keys_do_not_repeat() -> None:
    assert len({keys.generate("live") for _ in range(1000)}) == 1000


def test_the_digest_is_the_sha256_of_the_whole_key() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert keys.digest("abc").hex() == expected


@given(st.integers(0, 46), st.sampled_from(keys.BASE62))
def test_one_changed_character_is_noticed(position: int, character: str) -> None:
    key = keys.generate("live")
    changed = key[:position] + character + key[position + 1 :]
    assert keys.is_well_formed(changed) == (changed == key)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "null",
        "org_live_",
        "org_live_" + "a" * 38,
        "' OR '1'='1' --",
        "%" * 47,
        "é" * 47,
        "org_live_" + "é" * 38,
        "x" * 7000,
        "\x00" * 47,
        "sk-" + "a" * 44,
    ],
)
def test_garbage_is_not_well_formed(garbage: str) -> None:
    assert not keys.is_well_formed(garbage)


def test_what_surrounds_a_key_or_its_case_makes_it_garbage() -> None:
    key = keys.generate("live")
    for other in (key + " ", " " + key, key + "\n", key.swapcase(), key[:15], keys.digest(key).hex(), key + key):
        assert not keys.is_well_formed(other)


def record(**values: object) -> KeyRecord:
    known = {
        "id": 1,
        "organization_id": 7,
        "environment": 0,
        "scopes": frozenset({"events:write"}),
        "zone": ZoneInfo("UTC"),
        "prefix": "org_live_abcdef",
        "expires_at": None,
        "revoked_at": None,
    }
    return KeyRecord(**(known | values))  # type: ignore[arg-type]


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("times", "refusal"),
    [
        ({}, None),
        ({"expires_at": NOW + SECOND}, None),
        ({"expires_at": NOW}, "this API key has expired"),
        ({"expires_at": NOW - SECOND}, "this API key has expired"),
        ({"revoked_at": NOW + SECOND}, None),
        ({"revoked_at": NOW}, "this API key was revoked"),
        ({"revoked_at": NOW - SECOND, "expires_at": NOW - SECOND}, "this API key was revoked"),
    ],
)
def test_refusal(times: dict[str, datetime], refusal: str | None) -> None:
    assert record(**times).refusal(NOW) == refusal


@dataclass
class Database:
    """Stands in for the look-up: what it knows, and how often it was asked."""

    known: dict[bytes, KeyRecord] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    failing: bool = False

    async def load(self, sha256: bytes) -> KeyRecord | None:
        self.asked.append(sha256)
        await asyncio.sleep(0)
        if self.failing:
            raise ConnectionError
        return self.known.get(sha256)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(database: Database, clock: Clock) -> KeyRing:
    return KeyRing(database.load, clock)


def test_a_record_is_never_older_than_five_seconds(ring: KeyRing, database: Database, clock: Clock) -> None:
    key = keys.generate("live")
    database.known[keys.digest(key)] = record()
    assert asyncio.run(ring.find(key)) == record()
    database.known[keys.digest(key)] = record(revoked_at=NOW)
    clock.seconds += fresh_cache.CACHE_SECONDS - 0.01
    assert asyncio.run(ring.find(key)) == record()
    assert len(database.asked) == 1
    clock.seconds += 0.01
    assert asyncio.run(ring.find(key)) == record(revoked_at=NOW)
    assert len(database.asked) == 2
    assert fresh_cache.CACHE_SECONDS < 5


def test_using_a_key_does_not_prolong_what_is_known_of_it(ring: KeyRing, database: Database, clock: Clock) -> None:
    key = keys.generate("live")
    for _ in range(12):
        asyncio.run(ring.find(key))
        clock.seconds += 1
    assert len(database.asked) == 3


def test_the_age_counts_from_the_question_not_from_the_answer(clock: Clock) -> None:
    asked = []

    async def load(sha256: bytes) -> None:
        asked.append(sha256)
        clock.seconds += 3

    ring, key = KeyRing(load, clock), keys.generate("live")
    asyncio.run(ring.find(key))
    clock.seconds += 1
    asyncio.run(ring.find(key))
    assert len(asked) == 2


def test_an_unknown_key_is_remembered_as_unknown(ring: KeyRing, database: Database, clock: Clock) -> None:
    key = keys.generate("live")
    assert [asyncio.run(ring.find(key)) for _ in range(3)] == [None, None, None]
    assert len(database.asked) == 1
    database.known[keys.digest(key)] = record()
    clock.seconds += fresh_cache.CACHE_SECONDS
    assert asyncio.run(ring.find(key)) == record()


def test_simultaneous_callers_share_one_question(ring: KeyRing, database: Database) -> None:
    key = keys.generate("live")
    database.known[keys.digest(key)] = record()

    async def many() -> list[KeyRecord | None]:
        return await asyncio.gather(*(ring.find(key) for _ in range(20)))

    assert asyncio.run(many()) == [record()] * 20
    assert len(database.asked) == 1


def test_a_caller_who_leaves_does_not_take_the_others_along(ring: KeyRing, database: Database) -> None:
    key = keys.generate("live")
    database.known[keys.digest(key)] = record()

    async def two() -> KeyRecord | None:
        impatient = asyncio.ensure_future(ring.find(key))
        patient = asyncio.ensure_future(ring.find(key))
        await asyncio.sleep(0)
        impatient.cancel()
        return await patient

    assert asyncio.run(two()) == record()
    assert len(database.asked) == 1


def test_a_fault_is_told_and_not_remembered(ring: KeyRing, database: Database) -> None:
    key = keys.generate("live")
    database.known[keys.digest(key)] = record()
    database.failing = True
    with pytest.raises(ConnectionError):
        asyncio.run(ring.find(key))
    database.failing = False
    assert asyncio.run(ring.find(key)) == record()


def test_the_cache_is_bounded_and_forgets_the_oldest(
    ring: KeyRing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh_cache, "CACHE_SIZE", 3)
    some = [keys.generate("live") for _ in range(5)]

    async def all_of_them() -> None:
        for key in some:
            await ring.find(key)

    asyncio.run(all_of_them())
    assert list(ring._records._known) == [keys.digest(key) for key in some[2:]]
    asyncio.run(ring.find(some[4]))
    assert len(database.asked) == 5
    asyncio.run(ring.find(some[0]))
    assert len(database.asked) == 6
