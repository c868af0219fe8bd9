"""Browsers of the cast: ``browse.vera.get("/w/acme/")``, signed in without the sign-in page."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.cast import Cast


class Browse:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._clients: dict[str, Client] = {}

    def __getattr__(self, name: str) -> Client:
        if name not in self._clients:
            client = Client(raise_request_exception=False)
            client.force_login(self._cast.person(name).user)
            self._clients[name] = client
        return self._clients[name]

    @property
    def nobody(self) -> Client:
        return Client(raise_request_exception=False)


@pytest.fixture
def browse(cast: Cast) -> Browse:
    return Browse(cast)
