"""Olga operates the installation: a superuser, in no workspace."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from crewship.workspaces.models import User
from tests.admin.pages import Pages


@pytest.fixture
def olga(db: None) -> User:
    return User.objects.create_superuser("olga@example.com", "olga-has-a-password")


@pytest.fixture
def admin(olga: User, client: Client) -> Pages:
    client.force_login(olga)
    return Pages(client)


@pytest.fixture(params=["add", "change", "delete"])
def machine_url(request: pytest.FixtureRequest) -> Any:
    """``machine_url(obj)``: a page that would write a row that only the machine writes."""

    def url(obj: Model) -> str:
        name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{request.param}"
        return reverse(name, args=[] if request.param == "add" else [quote(obj.pk)])

    return url
