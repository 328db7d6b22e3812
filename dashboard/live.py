"""What open pages poll with: a word that changes when there is something new to show."""

from dashboard.visit import Visit
from events import rollups
from metering import records


def revision(visit: Visit) -> str:
    """Changes with every commit that changes the organization's pages, and each hour, because periods move on.

    Read it before the page's figures: what is committed between is then shown twice rather than missed.
    """
    organization = visit.organization_id
    return f"{rollups.revision(organization)}-{records.revision(organization)}-{visit.now:%y%m%d%H}"
