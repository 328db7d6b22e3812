"""`/api/v1/customers`."""

from typing import Any

from ninja import Query, Router
from ninja.responses import Status

from events.models import Role
from metering.api import answers, customer_store
from metering.api.access import ApiRequest, signed_in
from metering.api.customer_schemas import CustomerIn, CustomerOut, CustomerPatch
from metering.api.paging import Page, Paging

router = Router(tags=["Customers"])
administers = signed_in(Role.ADMIN)


@router.get("", auth=signed_in(), response=answers.reads(Page[CustomerOut]))
def list_customers(request: ApiRequest, query: Query[Paging]) -> Any:
    """Customers, by their external id."""
    caller, after = request.auth, query.start(str)
    rows = customer_store.listed(caller.organization_id, after, query.limit + 1, caller.now)
    return Page[CustomerOut].of(rows, query.limit, lambda row: (row.external_id,), CustomerOut.of)


@router.post("", auth=administers, response=answers.writes(CustomerOut, status=201))
def create_customer(request: ApiRequest, sent: CustomerIn) -> Any:
    """Make a customer. Events and usage of programs make the ones that they name by themselves."""
    return Status(201, CustomerOut.of(customer_store.create(request.auth.organization_id, sent, request.auth.now)))


@router.get("/{int:customer_id}", auth=signed_in(), response=answers.reads(CustomerOut))
def get_customer(request: ApiRequest, customer_id: int) -> Any:
    """One customer."""
    return CustomerOut.of(customer_store.get(request.auth.organization_id, customer_id, request.auth.now))


@router.patch("/{int:customer_id}", auth=administers, response=answers.writes(CustomerOut))
def change_customer(request: ApiRequest, customer_id: int, sent: CustomerPatch) -> Any:
    """Change what a customer is called, or what it pays from now on."""
    caller = request.auth
    return CustomerOut.of(customer_store.change(caller.organization_id, customer_id, sent, caller.now))
