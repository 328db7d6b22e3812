"""A page's template, whole or as the fragment that htmx asked for, with the headers that tenants' pages need."""

from collections.abc import Mapping

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers

from dashboard.access import MemberRequest


def render_page(
    request: MemberRequest, template: str, page: object, partials: Mapping[str, str] | None = None
) -> HttpResponse:
    """The template with `page` as its one variable.

    `partials` names the fragment for the id of each element that htmx may fill ('' for one without an id). Going back
    in the browser needs the whole page, also where htmx asks.
    """
    name = template
    if request.htmx and not request.htmx.history_restore_request:
        partial = (partials or {}).get(request.htmx.target or "")
        name = f"{template}#{partial}" if partial else template
    return as_private(render(request, name, {"page": page}))


def not_modified() -> HttpResponse:
    """The answer to a poll when nothing has changed."""
    return as_private(HttpResponse(status=204))


def as_private(response: HttpResponse) -> HttpResponse:
    """Keep shared caches off, and apart what one URL answers to htmx and to the browser.

    Not `no-store`: it would keep pages out of the browser's back-forward cache.
    """
    patch_vary_headers(response, ["HX-Request", "HX-Target", "Cookie"])
    patch_cache_control(response, private=True, no_cache=True)
    return response
