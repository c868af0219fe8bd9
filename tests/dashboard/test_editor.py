"""Making and editing crews as plain forms: what is saved, what is refused, who may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cache.models import DockerHost
from crewship.crews.models import Crew
from crewship.dashboard.editor_form import initial_of, state_of
from provisioning.models import AgentVolume, ProvisionJob
from tests.cast import CONFIG, Cast, make_crew
from tests.dashboard.conftest import Browse

NEW = "/w/acme/crews/new"
EDIT = "/w/acme/crews/backend/edit"
HOSTILE = '{"</textarea><script>alert(1)</script>": "<img src=x onerror=alert(1)>"}'


def form_of(crew: Crew, **changes: Any) -> dict[str, Any]:
    """What a browser posts from the untouched edit page: line endings are CRLF then."""
    crew.refresh_from_db()
    values = {k: v for k, v in initial_of(crew).items() if v not in (None, False)}
    posted = {k: v.replace("\n", "\r\n") if isinstance(v, str) else v for k, v in values.items()}
    return {**posted, "state": state_of(crew), "action": "save", **changes}


def stored(slug: str = "backend") -> Crew:
    return Crew.objects.get(workspace__slug="acme", slug=slug)


def test_a_crew_is_made_with_a_slug_from_its_name(browse: Browse):
    answer = browse.mona.post(
        NEW, {"action": "save", "name": "Größe & Co", "devcontainer_config": CONFIG}
    )
    assert answer["Location"] == "/w/acme/crews/groe-co/"
    assert stored("groe-co").devcontainer_config == CONFIG


@pytest.mark.parametrize(
    "text",
    [
        CONFIG,
        CONFIG.replace("\n", "\r\n"),
        "\n\n" + CONFIG,
        '\ufeff{"image": "debian:sid"}\r\n // a\n // b\r',
        '{"name": "\u2028 größe 🚢 &lt; </textarea>"}\n\n',
    ],
)
def test_an_untouched_text_is_stored_byte_for_byte_as_it_was(browse: Browse, cast: Cast, text: str):
    crew = make_crew(cast.workspace, "bytes", text)
    answer = browse.mona.post("/w/acme/crews/bytes/edit", form_of(crew, name="Other"))
    assert answer.status_code == 302
    assert stored("bytes").devcontainer_config == text
    assert stored("bytes").name == "Other"


def test_an_edited_text_keeps_the_line_endings_of_the_rest(browse: Browse, cast: Cast):
    text = CONFIG.replace("\n", "\r\n")
    crew = make_crew(cast.workspace, "crlf", text)
    posted = text.replace("bookworm", "trixie")
    browse.mona.post("/w/acme/crews/crlf/edit", form_of(crew, devcontainer_config=posted))
    assert stored("crlf").devcontainer_config == posted


def test_every_field_is_saved(browse: Browse, cast: Cast):
    posted = form_of(
        cast.crew,
        name="New name",
        slug="renamed",
        mise_config='[tools]\nnode = "22"\n',
        runtime_image="debian:sid",
        auto_provision="",
        agent_memory_mb="64",
        agent_cpus="0.5",
        agent_pids="32",
    )
    answer = browse.mona.post(EDIT, posted)
    assert answer["Location"] == "/w/acme/crews/renamed/"
    crew = stored("renamed")
    assert (crew.name, crew.runtime_image) == ("New name", "debian:sid")
    assert crew.mise_config == '[tools]\nnode = "22"\n'
    assert (crew.agent_memory_mb, crew.agent_cpus, crew.agent_pids) == (64, 0.5, 32)


def test_problems_keep_everything_that_was_typed(browse: Browse, cast: Cast):
    text = '{\n  "privileged": true, // typed\n  "image": 1\n}\n'
    posted = form_of(cast.crew, name="Typed", slug="status", devcontainer_config=text)
    answer = browse.mona.post(EDIT, posted)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert stored().devcontainer_config == CONFIG
    assert "&quot;privileged&quot;: true, // typed" in page
    assert 'value="Typed"' in page
    assert "no crew runs privileged" in page
    assert "devcontainer.json 2:3" in page
    assert "expected a string, found a number" in page
    assert "status is a word of the command line." in page


def test_a_number_that_is_none_is_said_at_its_field(browse: Browse, cast: Cast):
    answer = browse.mona.post(EDIT, form_of(cast.crew, agent_memory_mb="much"))
    assert "Enter a whole number." in answer.content.decode()


def test_somebody_elses_edit_is_not_overwritten(browse: Browse, cast: Cast):
    posted = form_of(cast.crew, devcontainer_config='{"image": "debian:mine"}')
    browse.adam.post(EDIT, form_of(cast.crew, devcontainer_config='{"image": "debian:theirs"}'))
    answer = browse.mona.post(EDIT, posted)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Somebody else saved this crew" in page
    assert "debian:mine" in page
    assert "debian:theirs" in page
    assert stored().devcontainer_config == '{"image": "debian:theirs"}'


def test_after_a_look_at_theirs_mine_can_be_saved_over_it(browse: Browse, cast: Cast):
    posted = form_of(cast.crew, devcontainer_config='{"image": "debian:mine"}')
    browse.adam.post(EDIT, form_of(cast.crew, devcontainer_config='{"image": "debian:theirs"}'))
    page = browse.mona.post(EDIT, posted).content.decode()
    state = page.partition('name="state" value="')[2].partition('"')[0]
    assert browse.mona.post(EDIT, {**posted, "state": state}).status_code == 302
    assert stored().devcontainer_config == '{"image": "debian:mine"}'


def test_a_build_in_between_is_no_edit(browse: Browse, cast: Cast):
    posted = form_of(cast.crew, name="Other")
    Crew.objects.filter(pk=cast.crew.pk).update(cached_image="crewship-cache:000000000000")
    assert browse.mona.post(EDIT, posted).status_code == 302


def test_a_crew_that_provisions_itself_is_provisioned(browse: Browse, cast: Cast, host: DockerHost):
    posted = form_of(cast.crew, auto_provision="on", devcontainer_config='{"image": "debian:sid"}')
    browse.mona.post(EDIT, posted)
    assert ProvisionJob.objects.get(crew=cast.crew).requested_by == cast.mona.user


def test_a_text_that_means_the_same_starts_nothing(browse: Browse, cast: Cast, host: DockerHost):
    Crew.objects.filter(pk=cast.crew.pk).update(auto_provision=True)
    posted = form_of(cast.crew, auto_provision="on", devcontainer_config=CONFIG + "// more\n")
    browse.mona.post(EDIT, posted)
    assert not ProvisionJob.objects.exists()


def test_what_has_no_effect_and_what_could_not_be_started_is_said(browse: Browse, cast: Cast):
    posted = form_of(cast.crew, auto_provision="on", devcontainer_config='{"forwardPorts": [1]}')
    page = browse.mona.post(EDIT, posted, follow=True).content.decode()
    assert "Backend is saved." in page
    assert "forwardPorts has no effect here" in page
    assert "Not provisioned: " in page


def test_a_file_is_loaded_into_the_form(browse: Browse):
    file = SimpleUploadedFile("devcontainer.json", b'\xef\xbb\xbf{\r\n  "image": "debian:sid"\r\n}')
    page = browse.mona.post(NEW, {"action": "load", "devcontainer_file": file}).content.decode()
    assert "&quot;image&quot;: &quot;debian:sid&quot;" in page
    assert 'name="devcontainer_crlf" value="1"' in page
    assert not Crew.objects.filter(slug="loaded").exists()


def test_a_file_that_is_saved_at_once_keeps_its_bytes(browse: Browse):
    body = '\ufeff{\r\n  "image": "debian:sid"\r\n}'
    file = SimpleUploadedFile("devcontainer.json", body.encode())
    browse.mona.post(NEW, {"action": "save", "name": "Loaded", "devcontainer_file": file})
    assert stored("loaded").devcontainer_config == body


@pytest.mark.parametrize("body", [b"\xff\xfe{", b"{" + b" " * 102_400])
def test_a_file_that_is_no_config_is_refused_with_a_reason(browse: Browse, body: bytes):
    file = SimpleUploadedFile("x", body)
    page = browse.mona.post(NEW, {"action": "load", "devcontainer_file": file}).content.decode()
    assert 'class="flash error"' in page


def test_a_base_image_is_taken_without_script(browse: Browse):
    posted = {"action": "set_image", "image": "debian:sid", "devcontainer_config": "{} // x"}
    page = browse.mona.post(NEW, posted).content.decode()
    assert "&quot;image&quot;: &quot;debian:sid&quot;\n} // x" in page


def test_only_allowed_base_images_are_on_offer(browse: Browse, set_options: Any, settings: Any):
    assert "mcr.microsoft.com" in browse.mona.get(NEW).content.decode()
    set_options(policy=replace(settings.CREWSHIP.policy, registries=("docker.io",)))
    assert "mcr.microsoft.com" not in browse.mona.get(NEW).content.decode()


@pytest.mark.parametrize("path", [NEW, EDIT, "/w/acme/crews/backend/delete"])
@pytest.mark.parametrize(
    ("name", "status"), [("bob", 403), ("vera", 403), ("mallory", 404), ("nobody", 302)]
)
def test_who_may_not_edit_sees_no_editor(browse: Browse, path: str, name: str, status: int):
    client: Client = getattr(browse, name)
    assert client.get(path).status_code == status
    assert client.post(path, {"action": "save", "name": "X", "slug": "xx"}).status_code == status
    assert not Crew.objects.filter(slug="xx").exists()


def test_a_crew_of_another_workspace_is_not_found(browse: Browse):
    assert browse.mona.get("/w/acme/crews/strange/edit").status_code == 404


def test_the_form_needs_its_csrf_token(cast: Cast):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.mona.user)
    assert client.post(NEW, {"action": "save", "name": "X", "slug": "xx"}).status_code == 403
    assert not Crew.objects.filter(slug="xx").exists()


def test_hostile_text_is_text(browse: Browse, cast: Cast):
    make_crew(cast.workspace, "hostile", HOSTILE, name="<script>alert(2)</script>")
    page = browse.mona.get("/w/acme/crews/hostile/edit").content.decode()
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("</textarea>") == 3


def test_a_crew_is_deleted_by_whoever_types_its_slug(browse: Browse, cast: Cast):
    path = "/w/acme/crews/backend/delete"
    assert "not the crew" in browse.adam.post(path, {"slug": "backen"}).content.decode()
    assert browse.mona.post(path, {"slug": "backend"}).status_code == 403
    assert browse.adam.post(path, {"slug": "backend"})["Location"] == "/w/acme/"
    assert not Crew.objects.filter(pk=cast.crew.pk).exists()


@pytest.mark.parametrize("name", ["bob", "vera"])
def test_whoever_may_see_a_crew_may_read_its_texts(browse: Browse, cast: Cast, name: str):
    make_crew(cast.workspace, "hostile", HOSTILE, mise_config='[tools]\nnode = "22"\n')
    client: Client = getattr(browse, name)
    page = client.get("/w/acme/crews/hostile/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "node = &quot;22&quot;" in page
    assert "crews/hostile/edit" not in page


@pytest.mark.parametrize("said", ["keep", "delete", ""])
def test_what_becomes_of_volumes_is_said(browse: Browse, cast: Cast, host: DockerHost, said: str):
    AgentVolume.objects.create(name="crewship-data", host_name=host.name, crew_id=cast.crew.pk)
    path = "/w/acme/crews/backend/delete"
    assert "crewship-data" in browse.adam.get(path).content.decode()
    browse.adam.post(path, {"slug": "backend", "volumes": said})
    assert Crew.objects.filter(pk=cast.crew.pk).exists() == (said == "")
    assert AgentVolume.objects.filter(delete_at=None).exists() == (said != "delete")


def test_a_refused_save_leads_to_its_problems(browse: Browse, cast: Cast):
    posted = {"name": "New", "slug": "new", "devcontainer_config": "{", "action": "save"}
    page = browse.mona.post("/w/acme/crews/new", posted).content.decode()
    assert "Not saved: problems" in page
    assert 'aria-labelledby="findings-title" tabindex="-1" autofocus' in page
