from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import HttpRequest, QueryDict
from django.test import Client
from django.urls import reverse

from events import form_tokens
from events.models import ApiKey, Role
from tests.factories import MembershipFactory

CLICKS = 4


def test_clicks_at_the_same_moment_make_one_key(committed_db: None) -> None:
    owner = MembershipFactory(role=Role.OWNER, user__is_staff=True)
    client, url = Client(), reverse("admin:events_apikey_add")
    client.force_login(owner.user)
    token = client.get(url).context["adminform"].form.initial["form_token"]
    form = {"organization": owner.organization.pk, "name": "x", "environment": 0, "scopes": "read", "form_token": token}

    def click(_: int) -> bytes:
        browser = Client()
        browser.cookies.load({name: morsel.value for name, morsel in client.cookies.items()})
        try:
            return browser.post(url, form | {"expires_at_0": "", "expires_at_1": ""}).content
        finally:
            connection.close()

    with ThreadPoolExecutor(CLICKS) as threads:
        answers = list(threads.map(click, range(CLICKS)))
    assert sum(b"Store this key now" in answer for answer in answers) == 1
    assert sum(b"This form was sent before" in answer for answer in answers) == CLICKS - 1
    assert ApiKey.objects.count() == 1


@pytest.mark.django_db
def test_a_session_remembers_a_bounded_number_of_forms(client: Client) -> None:
    request = HttpRequest()
    request.session = client.session
    tokens = [form_tokens.new_token(request) for _ in range(30)]
    assert len(set(tokens)) == 30
    session = request.session
    session.save()
    for token, known in ((tokens[0], False), (tokens[29], True)):
        request = HttpRequest()
        request.session = session
        request.POST = QueryDict(urlencode({form_tokens.FIELD: token}))
        if known:
            form_tokens.claim(request)
        else:
            with pytest.raises(form_tokens.AlreadySent):
                form_tokens.claim(request)
