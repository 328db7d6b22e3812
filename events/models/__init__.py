"""What happened, and to whom it belongs. Everything hangs below an organization."""

from events.models.api_key import ApiKey, Environment, Scope
from events.models.event import Event, Flag, ServiceTier, Status
from events.models.organization import Membership, Organization, Role, User
from events.models.rejected_call import RejectedCall
from events.models.repricing import EventCostHistory, RepriceJob
from events.models.time_zone_change import TimeZoneChange
from events.models.tracked_user import RevenueChange, TrackedUser

__all__ = [
    "ApiKey",
    "Environment",
    "Event",
    "EventCostHistory",
    "Flag",
    "Membership",
    "Organization",
    "RejectedCall",
    "RepriceJob",
    "RevenueChange",
    "Role",
    "Scope",
    "ServiceTier",
    "Status",
    "TimeZoneChange",
    "TrackedUser",
    "User",
]
