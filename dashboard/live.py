"""What open pages poll with: a word that changes when there is something new to show."""

from dashboard.visit import Visit
from events import rollups


def revision(visit: Visit) -> str:
    """Changes with every commit that changes the organization's pages, and each hour, because periods move on.

    Read it before the page's figures: what is committed between is then shown twice rather than missed.
    """
    return f"{rollups.revision(visit.organization_id)}-{visit.now:%y%m%d%H}"
