"""How far the usage has followed the organization to its new time zone (`components/zone_progress.html`)."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.formats import count
from dashboard.queries import time_zones
from dashboard.visit import Visit


@dataclass(frozen=True)
class Progress:
    """A message with a bar; without `text` there is nothing to say, unless the end is."""

    text: str = ""
    done: int = 0
    total: int = 0
    """0: not begun."""
    revision: str = ""
    poll_href: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class ProgressPage:
    """The variable of the fragment when it is asked for alone."""

    progress: Progress


def progress(visit: Visit, *, polled: bool = False) -> Progress:
    """What to say now. `polled`: somebody watched it, so its end is said. One statement."""
    found = time_zones.unfinished(visit.organization_id)
    if found is None:
        return Progress(is_over=polled)
    counted = (
        f"{count(found.done)} of {count(found.total)} requests are counted anew"
        if found.total
        else "the past waits to be counted"
    )
    revision = f"{found.zone}-{found.done}-{found.total}"
    return Progress(
        text=f"Hours and days now start in {found.zone}; {counted}. Until that is done, figures by hour and by day"
        " may still stand where they stood. Nothing is lost, and requests keep coming in.",
        done=found.done,
        total=found.total,
        revision=revision,
        poll_href=f"{reverse('dashboard:time_zone_progress')}?{urlencode({'rev': revision})}",
    )
