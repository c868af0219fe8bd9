"""Crews in the admin: saved as the API saves them, problems at their fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crewship.crews.models import Crew
from crewship.domain.errors import Conflict
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.admin.pages import Pages, form_of, messages_of, text_of, url_of
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker


@pytest.fixture
def new(cast: Cast) -> dict[str, Any]:
    return {
        "workspace": cast.workspace.pk,
        "name": "New",
        "slug": "new",
        "devcontainer_config": '{"image": "debian:bookworm-slim"}',
    }


def form_errors(page: Any) -> dict[str, list[str]]:
    return {name: list(errors) for name, errors in page.context["adminform"].form.errors.items()}


def test_a_crew_is_stored_with_its_hash(admin: Pages, new: dict[str, Any]):
    assert admin.post(Crew, "add", **new).status_code == 302
    crew = Crew.objects.get(slug="new")
    assert crew.config_hash is not None
    assert crew.devcontainer_config == new["devcontainer_config"]


def test_the_page_after_adding_is_the_new_crews(admin: Pages, new: dict[str, Any]):
    answer = admin.post(Crew, "add", **new, _continue="1")
    assert answer["Location"] == url_of(Crew.objects.get(slug="new"))


def test_every_problem_stands_at_its_field_with_its_path(admin: Pages, new: dict[str, Any]):
    config = {"image": 1, "privileged": True, "features": {"ghcr.io/evil/x:1": {}}}
    new |= {"devcontainer_config": json.dumps(config), "mise_config": '{"tools": {"node": true}}'}
    errors = form_errors(admin.post(Crew, "add", **new))
    paths = [text.partition(":")[0] for text in errors["devcontainer_config"]]
    assert paths == ["image", "privileged", "features.ghcr.io/evil/x"]
    assert errors["mise_config"][0].startswith("mise_config.tools.node: ")
    assert not Crew.objects.filter(slug="new").exists()


def test_broken_json_names_line_and_column(admin: Pages, new: dict[str, Any]):
    new["devcontainer_config"] = '{\n  "image": oops\n}'
    (error,) = form_errors(admin.post(Crew, "add", **new))["devcontainer_config"]
    assert error.startswith("line 2, column 12: ")


@pytest.mark.parametrize(
    ("slug", "said"), [("backend", "Another crew"), ("status", "command line")]
)
def test_a_bad_slug_is_the_slugs_error(admin: Pages, new: dict[str, Any], slug: str, said: str):
    errors = form_errors(admin.post(Crew, "add", **new | {"slug": slug}))
    assert list(errors) == ["slug"]
    assert len(errors["slug"]) == 1
    assert said in errors["slug"][0]


def test_what_has_no_effect_is_a_warning(admin: Pages, new: dict[str, Any]):
    new["devcontainer_config"] = '{"image": "debian:bookworm-slim", "forwardPorts": [80]}'
    answer = admin.post(Crew, "add", **new)
    assert any(text.startswith("warning: forwardPorts") for text in messages_of(answer))


def test_saving_without_typing_keeps_every_byte(admin: Pages, cast: Cast):
    text = '{\r\n\t"image": "debian:bookworm-slim" // \r\n}\n\n'
    crew = make_crew(cast.workspace, "bytes", text)
    form = form_of(admin.page(crew))
    form["devcontainer_config"] = text.replace("\r\n", "\n").replace("\n", "\r\n")  # a browser's
    assert admin.post(crew, **form).status_code == 302
    crew.refresh_from_db()
    assert crew.devcontainer_config == text


def test_line_ends_of_a_typed_text_are_not_the_browsers(admin: Pages, cast: Cast):
    form = form_of(admin.page(cast.crew))
    form["devcontainer_config"] = '{\r\n"image": "debian:sid"\r\n}\r\n'
    admin.post(cast.crew, **form)
    cast.crew.refresh_from_db()
    assert cast.crew.devcontainer_config == '{\n"image": "debian:sid"\n}\n'


def test_a_changed_meaning_empties_the_marker(admin: Pages, cast: Cast, cached: Any):
    form = form_of(admin.page(cast.crew)) | {"devcontainer_config": '{"image": "debian:sid"}'}
    admin.post(cast.crew, **form)
    cast.crew.refresh_from_db()
    assert cast.crew.cached_image is None


def test_a_changed_name_keeps_the_marker(admin: Pages, cast: Cast, cached: Any):
    admin.post(cast.crew, **form_of(admin.page(cast.crew)) | {"name": "Renamed"})
    cast.crew.refresh_from_db()
    assert (cast.crew.name, cast.crew.cached_image) == ("Renamed", cached.tag)


def test_the_machines_fields_cannot_be_sent(admin: Pages, cast: Cast, cached: Any):
    sent = {"cached_image": "crewship-cache:000000000000", "config_hash": "0" * 64}
    sent |= {"workspace": cast.strange_workspace.pk}
    before = Crew.objects.values().get(pk=cast.crew.pk)
    admin.post(cast.crew, **form_of(admin.page(cast.crew)), **sent)
    after = Crew.objects.values().get(pk=cast.crew.pk)
    assert before | {"updated_at": None} == after | {"updated_at": None}


def test_an_emptied_text_is_cleared(admin: Pages, cast: Cast):
    form = form_of(admin.page(cast.crew)) | {"devcontainer_config": ""}
    admin.post(cast.crew, **form)
    cast.crew.refresh_from_db()
    assert (cast.crew.devcontainer_config, cast.crew.config_hash) == (None, None)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FAILED])
def test_the_list_shows_each_crews_status(
    admin: Pages, cast: Cast, make_job: JobMaker, state: JobState
):
    make_job(cast.crew, state)
    assert f'<td class="field-status">{state}</td>' in text_of(admin.list(Crew))


@pytest.mark.parametrize("way", ["page", "list"])
def test_deleting_goes_through_the_service(
    admin: Pages,
    cast: Cast,
    make_job: JobMaker,
    way: str,
    django_capture_on_commit_callbacks,
    knocks,
):
    leader = make_job(cast.crew, JobState.RUNNING)
    follower = make_job(make_crew(cast.workspace, "copy"), leader=leader)
    with django_capture_on_commit_callbacks(execute=True):
        if way == "page":
            admin.post(cast.crew, "delete", post="yes")
        else:
            admin.act("delete_selected", cast.crew, post="yes")
    assert not Crew.objects.filter(pk=cast.crew.pk).exists()
    assert ProvisionJob.objects.get(pk=follower.pk).leader is None
    assert knocks == [follower.pk]


def test_deleting_asks_first_and_counts_what_goes(admin: Pages, cast: Cast, make_job: JobMaker):
    make_job(cast.crew, JobState.COMPLETED)
    assert "Jobs: 1" in text_of(admin.page(cast.crew, "delete"))


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_refused_deletion_is_a_message(
    admin: Pages, cast: Cast, monkeypatch: pytest.MonkeyPatch, way: str
):
    def refuse(crew: Crew, **said: object) -> None:
        raise Conflict("Not now.", hint="Try again.")

    monkeypatch.setattr("crewship.admin.crews.delete_crew", refuse)
    if way == "page":
        answer = admin.post(cast.crew, "delete", post="yes")
    else:
        answer = admin.act("delete_selected", cast.crew, post="yes")
    assert "error: Not now. [conflict] Try again." in messages_of(answer)
    assert Crew.objects.filter(pk=cast.crew.pk).exists()
