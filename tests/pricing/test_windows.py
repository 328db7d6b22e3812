from datetime import UTC, datetime

import pytest

from pricing.catalog import epoch_ms
from pricing.windows import WeeklyWindow

WEEKDAYS = WeeklyWindow("UTC", (1, 2, 3, 4, 5), (("01:00", "04:00"), ("06:00", "10:00")))
NIGHTS = WeeklyWindow("UTC", (5,), (("22:00", "02:00"),))  # Friday night
SHANGHAI = WeeklyWindow("Asia/Shanghai", (1,), (("00:00", "08:00"),))


@pytest.mark.parametrize(
    ("window", "at", "open_"),
    [
        (WEEKDAYS, "2026-11-02T00:59:59.999", False),  # a Monday
        (WEEKDAYS, "2026-11-02T01:00", True),
        (WEEKDAYS, "2026-11-02T03:59:59.999", True),
        (WEEKDAYS, "2026-11-02T04:00", False),
        (WEEKDAYS, "2026-11-02T07:00", True),
        (WEEKDAYS, "2026-11-07T02:00", False),  # a Saturday
        (NIGHTS, "2026-11-06T21:59", False),
        (NIGHTS, "2026-11-06T22:00", True),
        (NIGHTS, "2026-11-07T01:59", True),
        (NIGHTS, "2026-11-07T02:00", False),
        (NIGHTS, "2026-11-06T01:00", False),
        (SHANGHAI, "2026-11-01T16:00", True),  # Monday, midnight there
        (SHANGHAI, "2026-11-01T15:59", False),
        (SHANGHAI, "2026-11-02T00:00", False),
    ],
)
def test_a_window_is_open_at_its_start_and_closed_at_its_end(window: WeeklyWindow, at: str, open_: bool) -> None:
    assert window.covers(epoch_ms(datetime.fromisoformat(at).replace(tzinfo=UTC))) is open_


def test_stored_form_round_trips() -> None:
    assert WeeklyWindow.parse(WEEKDAYS.stored()) == WEEKDAYS


@pytest.mark.parametrize("broken", [{"tz": "Mars/Base"}, {"ranges": [["25:00", "26:00"]]}])
def test_an_unreadable_window_is_refused_when_it_is_read(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        WeeklyWindow.parse(WEEKDAYS.stored() | broken)
