"""An agent's page: its settings, with the environment as rows and secrets that stay inside."""

from __future__ import annotations

import pytest

from crewship.crews.agents import create_agent
from crewship.crews.models import Agent
from crewship.crews.secrets import unseal
from crewship.domain.roles import Role
from tests.cast import Cast
from tests.dashboard.conftest import Browse

PAGE = "/w/acme/crews/backend/agents/coder"
KEPT = "•••• kept"


@pytest.fixture
def agent(cast: Cast) -> Agent:
    env = {"LEVEL": "info", "KEY": {"secret": "s3cr3t-value"}}
    values = {"name": "coder", "command": "sleep 1", "env": env}
    return create_agent(cast.crew, values, actor_role=Role.OWNER)


def posted(*rows: dict[str, str], name: str = "coder", command: str = "sleep 1") -> dict[str, str]:
    fields = {f"env-{at}-{key}": value for at, row in enumerate(rows) for key, value in row.items()}
    return {"name": name, "command": command, **fields}


LEVEL = {"name": "LEVEL", "value": "info"}
KEY = {"name": "KEY", "value": "", "secret": "on"}


def test_the_form_shows_values_and_that_a_secret_is_kept(browse: Browse, agent: Agent):
    page = browse.adam.get(PAGE).content.decode()
    assert 'value="LEVEL"' in page
    assert KEPT in page
    assert "s3cr3t-value" not in page
    assert "Takes effect at the next start." in page


def test_name_command_and_environment_are_saved(browse: Browse, agent: Agent):
    new = {"name": "NEW", "value": "a\r\nb"}
    answer = browse.adam.post(
        f"{PAGE}/edit", posted({**LEVEL, "value": "debug"}, KEY, new, name="fixer", command="make")
    )
    assert answer["Location"] == "/w/acme/crews/backend/agents/fixer"
    agent.refresh_from_db()
    assert (agent.name, agent.command) == ("fixer", "make")
    assert agent.env == {"LEVEL": "debug", "NEW": "a\nb"}
    assert unseal(agent) == {"KEY": "s3cr3t-value"}


def test_a_secret_is_replaced_set_and_removed(browse: Browse, agent: Agent):
    other = {"name": "OTHER", "value": "other-value", "secret": "on"}
    browse.adam.post(f"{PAGE}/edit", posted({**KEY, "value": "newer-value"}, other))
    agent.refresh_from_db()
    assert unseal(agent) == {"KEY": "newer-value", "OTHER": "other-value"}
    browse.adam.post(f"{PAGE}/edit", posted({**KEY, "remove": "on"}, {**other, "value": ""}, LEVEL))
    agent.refresh_from_db()
    assert unseal(agent) == {"OTHER": "other-value"}
    assert agent.env == {"LEVEL": "info"}


def test_who_may_not_manage_keeps_secrets_and_sets_none(browse: Browse, agent: Agent):
    page = browse.mona.get(PAGE).content.decode()
    assert KEPT in page
    assert 'type="checkbox" name="env-0-secret"' not in page
    saved = browse.mona.post(f"{PAGE}/edit", posted(KEY, LEVEL, command="make"))
    assert saved.status_code == 302
    for rows in ((LEVEL,), ({**KEY, "value": "mine"}, LEVEL)):
        assert browse.mona.post(f"{PAGE}/edit", posted(*rows)).status_code == 403
    agent.refresh_from_db()
    assert (agent.command, unseal(agent)) == ("make", {"KEY": "s3cr3t-value"})


def test_all_problems_are_at_their_rows_and_typed_secrets_are_not_echoed(
    browse: Browse, agent: Agent
):
    answer = browse.adam.post(
        f"{PAGE}/edit",
        posted(
            {"name": "BAD-NAME", "value": "typed-value"},
            {"name": "TOKEN", "value": "typed-secret", "secret": "on"},
            {**KEY, "value": "typed-secret"},
            {"name": "EMPTY", "value": "", "secret": "on"},
            LEVEL,
            LEVEL,
            name="No!",
            command=" ",
        ),
    )
    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'id="env-0-problems"><p>a name has ASCII letters' in page
    assert 'id="env-3-problems"><p>A new secret needs its value' in page
    assert 'id="env-5-problems"><p>Another row has this name.' in page
    assert 'id="env-1-problems"><p>Type its value again: this' in page
    assert 'id="env-2-problems"><p>Type its value again, or the stored one is kept' in page
    assert 'id="edit-name-problems"' in page
    assert 'id="edit-command-problems"><p>An agent needs a command.' in page
    assert "typed-value" in page
    assert "typed-secret" not in page
    agent.refresh_from_db()
    assert agent.name == "coder"


def test_what_was_not_changed_keeps_its_line_ends(cast: Cast, browse: Browse, agent: Agent):
    Agent.objects.filter(pk=agent.pk).update(env={"TEXT": "a\r\nb\n"}, command="a\r\nb")
    text = {"name": "TEXT", "value": "a\r\nb\r\n"}
    browse.adam.post(f"{PAGE}/edit", posted(text, KEY, name="fixer", command="a\r\nb"))
    agent.refresh_from_db()
    assert (agent.env, agent.command) == ({"TEXT": "a\r\nb\n"}, "a\r\nb")


@pytest.mark.parametrize("verb", ["edit", "restart"])
@pytest.mark.parametrize(("name", "status"), [("bob", 403), ("vera", 403), ("mallory", 404)])
def test_who_may_not_is_refused(
    browse: Browse, agent: Agent, host, verb: str, name: str, status: int
):
    assert getattr(browse, name).post(f"{PAGE}/{verb}", posted()).status_code == status
    assert "Settings" not in browse.bob.get(PAGE).content.decode()


def test_one_that_runs_is_restarted(browse: Browse, agent: Agent, host):
    running = {"wants_running": True, "status": "running", "asked": 1, "done": 1}
    Agent.objects.filter(pk=agent.pk).update(**running)
    assert "/restart" in browse.mona.get(PAGE).content.decode()
    browse.mona.post(f"{PAGE}/restart")
    agent.refresh_from_db()
    assert (agent.status, agent.asked) == ("starting", 2)


def test_adding_leads_to_the_agents_page(browse: Browse, cast: Cast):
    answer = browse.mona.post(
        "/w/acme/crews/backend/agents", {"name": "coder", "command": "sleep 1"}
    )
    assert answer["Location"] == PAGE
