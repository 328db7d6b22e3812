"""Forms that may be sent once: a reload of the answer must not make a second API key, nor show the first one again.

Each form carries a token that its session remembers, with what the form made. The tokens are not secrets.
"""

import secrets

from django.contrib.sessions.models import Session
from django.http import HttpRequest

FIELD = "form_token"
_SESSION_ENTRY = "single_use_forms"
_REMEMBERED = 20


class AlreadySent(Exception):
    """The form was sent before and made `made_id`; or, with None, its token is unknown or forgotten."""

    def __init__(self, made_id: int | None) -> None:
        super().__init__(made_id)
        self.made_id = made_id


def new_token(request: HttpRequest) -> str:
    """A token for a form about to be shown in this session."""
    token = secrets.token_urlsafe(16)
    tokens = request.session.get(_SESSION_ENTRY, {})
    request.session[_SESSION_ENTRY] = dict([*tokens.items(), (token, None)][-_REMEMBERED:])
    return token


def claim(request: HttpRequest) -> None:
    """Raise AlreadySent unless the posted form is sent for the first time. Needs a transaction.

    The session's row stays locked until the transaction ends: of two clicks at once, the second waits and then sees
    what the first has made.
    """
    stored = Session.objects.select_for_update().filter(session_key=request.session.session_key).first()
    tokens = stored.get_decoded().get(_SESSION_ENTRY, {}) if stored else {}
    request.session[_SESSION_ENTRY] = tokens
    token = request.POST.get(FIELD, "")
    if token not in tokens or tokens[token] is not None:
        raise AlreadySent(tokens.get(token))


def settle(request: HttpRequest, made_id: int) -> None:
    """Remember, in the same transaction, what the claimed form has made."""
    request.session[_SESSION_ENTRY] = {**request.session[_SESSION_ENTRY], request.POST[FIELD]: made_id}
    request.session.save()
