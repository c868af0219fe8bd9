"""The tests' own PostgreSQL server."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection

from crewship.workspaces.models import Workspace
from tests.stack.postgres import PostgresServer

pytestmark = pytest.mark.postgres


def test_all_threads_of_a_test_speak_with_its_database(postgres_db: str) -> None:
    Workspace.objects.create(slug="acme", name="Acme")
    seen: list[tuple[str, str, int]] = []

    def look() -> None:
        name = connection.settings_dict["NAME"]
        seen.append((connection.vendor, name, Workspace.objects.count()))
        connection.close()

    thread = Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [("postgresql", postgres_db, 1)]


def test_each_test_has_an_empty_database(postgres_db: str) -> None:
    assert not Workspace.objects.exists()


def test_a_cut_ends_every_session_and_a_restart_keeps_the_data(
    postgres_server: PostgresServer, postgres_db: str
) -> None:
    Workspace.objects.create(slug="acme", name="Acme")
    assert postgres_server.cut_sessions(postgres_db) == 1
    connection.close()
    postgres_server.stop()
    postgres_server.start()
    assert Workspace.objects.count() == 1
