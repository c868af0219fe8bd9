"""What the editor asks for while one types: problems at their places, edits, pickers."""

from __future__ import annotations

from typing import Any

import pytest

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Crew
from tests.cast import CONFIG, Cast
from tests.dashboard.conftest import Browse

PARTS = "/w/acme/editor/"
NODE = "ghcr.io/crewship-ai/features/node:1"


def check(browse: Browse, text: str, **more: Any) -> dict[str, Any]:
    posted = {"name": "New", "devcontainer_config": text, **more}
    answer = browse.mona.post(f"{PARTS}check", posted)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def change(browse: Browse, edit: str, text: str = "", **more: str) -> Any:
    posted = {"edit": edit, "devcontainer_config": text, **more}
    return browse.mona.post(f"{PARTS}change", posted)


def test_a_problem_is_marked_where_javascript_counts_it(browse: Browse):
    text = '{\r\n  // größe 🚢\r\n  "privileged": true\r\n}'
    found = check(browse, text)
    [mark] = found["marks"]
    shown = text.replace("\r\n", "\n").encode("utf-16-le")
    assert shown[2 * mark["start"] : 2 * mark["end"]].decode("utf-16-le") == '"privileged"'
    assert (mark["field"], mark["line"], mark["problem"]) == ("devcontainer_config", 3, True)
    assert found["summary"] == "1 problem"


@pytest.mark.parametrize(
    ("text", "marked"), [('{"a": tru }', "tru"), ('{"a": 1', ""), ("\ufeff{x}", "x")]
)
def test_a_broken_text_is_marked_where_it_breaks(browse: Browse, text: str, marked: str):
    [mark] = check(browse, text)["marks"]
    assert text[mark["start"] : mark["end"]] == marked


def test_warnings_have_places_too(browse: Browse):
    found = check(browse, '{"forwardPorts": [1]}', name="")
    assert [(m["problem"], m["start"]) for m in found["marks"]] == [(False, 1)]
    assert found["summary"] == "1 warning"


def test_the_base_image_is_given_as_it_is_written(browse: Browse):
    assert check(browse, '{"image": "a&b<c"}')["image"] == "a&b<c"


def test_keys_called_like_fields_are_marked_in_the_text(browse: Browse):
    found = check(browse, '{"name": 1, "slug": 2, "mise_config": 3}')
    assert [m["field"] for m in found["marks"]] == ["devcontainer_config"]
    assert "name" not in check(browse, '{"slug": 1}')["marks"][0]["field"]


def test_problems_of_other_fields_say_which(browse: Browse):
    found = check(browse, "{}", slug="backend", mise_config='{"tools": {"-": "1"}}')
    places = {(m["field"], m["start"]) for m in found["marks"]}
    assert places == {("slug", None), ("mise_config", 11)}


def test_a_name_that_is_not_typed_yet_is_no_problem(browse: Browse):
    assert check(browse, "{}", name="")["problems"] == 0


def test_thousands_of_problems_are_counted_and_some_shown(browse: Browse):
    text = '{"capAdd": [' + ",".join(['"X"'] * 3000) + "]}"
    found = check(browse, text)
    assert len(found["marks"]) == 100
    assert found["problems"] == 3000
    assert "2900 more" in found["findings"]


def test_the_crew_itself_may_keep_its_slug(browse: Browse, cast: Cast):
    assert check(browse, "{}", slug="backend", crew=cast.crew.pk)["problems"] == 0


def test_checking_saves_nothing(browse: Browse, cast: Cast):
    check(browse, '{"image": "debian:sid"}', crew=cast.crew.pk, slug="other")
    assert Crew.objects.get(pk=cast.crew.pk).devcontainer_config == CONFIG


def test_hostile_text_comes_back_escaped(browse: Browse):
    evil = "<script>alert(1)</script>"
    text = f'{{"{evil}": 1, "features": {{"{evil}": {{"{evil}": "{evil}"}}}}}}'
    found = check(browse, text, mise_config=f'{{"tools": {{"{evil}": "{evil}"}}}}')
    assert "<script>" not in found["findings"] + found["features"] + found["tools"]


def test_features_and_tools_of_the_text_are_listed(browse: Browse):
    text = f'{{"features": {{"{NODE}": {{"npm": false}}}}}}'
    found = check(browse, text, mise_config='[tools]\nnode = "22"\n')
    assert "Node.js (Debian)" in found["features"]
    assert "npm false" in found["features"]
    assert "node 22" in found["tools"]


def test_a_feature_is_put_into_the_text(browse: Browse):
    answer = change(browse, "add_feature", CONFIG.replace("\n", "\r\n"), ref=NODE)
    body = answer.json()
    assert body["field"] == "devcontainer_config"
    assert body["text"] == CONFIG.replace(
        'slim",\n}', f'slim",\n  "features": {{\n    "{NODE}": {{}}\n  }},\n}}'
    )


def test_only_the_changed_option_is_put_into_the_text(browse: Browse):
    text = f'{{"features": {{"{NODE}": {{"npm": true /* x */}}}}}}'
    more = {"ref": NODE, "option.npm": "false", "option.version": ""}
    changed = change(browse, "set_options", text, **more).json()
    assert changed["text"] == text.replace("true", "false")
    back = change(browse, "set_options", text, **{"ref": NODE, "option.npm": ""}).json()
    assert '"npm"' not in back["text"]


def test_tools_go_where_the_tools_are(browse: Browse):
    inside = '{"mise": {"tools": {"go": "1"}}}'
    changed = change(browse, "set_tool", inside, tool="node", versions="22, 20").json()
    assert changed["text"] == '{"mise": {"tools": {"go": "1", "node": ["22", "20"]}}}'
    changed = change(browse, "set_tool", "{}", tool="node", versions="").json()
    assert (changed["field"], changed["text"]) == (
        "mise_config",
        '{\n  "tools": {\n    "node": ""\n  }\n}\n',
    )


@pytest.mark.parametrize(
    ("edit", "text", "more"),
    [
        ("nothing", "{}", {}),
        ("add_feature", "{", {"ref": NODE}),
        ("add_feature", "{}", {"ref": "node"}),
        ("add_feature", '{"features": 1}', {"ref": NODE}),
        ("set_image", "{}" + " " * 103_000, {"image": "x"}),
        ("set_image", "{}", {"image": "\0"}),
        ("set_tool", "{}", {"mise_config": 'tools = {node = "1"}', "tool": "node"}),
    ],
)
def test_an_edit_that_cannot_be_done_says_why(
    browse: Browse, edit: str, text: str, more: dict[str, str]
):
    answer = change(browse, edit, text, **more)
    assert list(answer.json()) == ["refused"]


def test_the_form_of_options_has_labels_defaults_and_what_is_given(browse: Browse):
    text = f'{{"features": {{"{NODE}": {{"npm": false}}}}}}'
    page = browse.mona.post(
        f"{PARTS}options", {"ref": NODE, "devcontainer_config": text}
    ).content.decode()
    assert '<label class="mono" for="option-npm">npm</label>' in page
    assert "Default: true" in page
    assert '<option value="false" selected>false</option>' in page


def test_the_pickers_list_search_and_filter(browse: Browse):
    def listed(query: str) -> str:
        return browse.mona.get(f"{PARTS}{query}").content.decode()

    assert "data-ref" in listed("features")
    assert "sshd" in listed("features?q=SSHD")
    assert "sshd" not in listed("features?q=sshd&category=languages")
    assert "No feature is like that" in listed("features?q=<script>")
    assert "Node.js" in listed("tools?q=node")
    assert 'data-tool="npm:prettier"' in listed("tools?q=npm:prettier")
    assert 'value="22"' in listed("versions?tool=node")
    assert "<script>" not in listed("versions?tool=<script>&versions=<script>")


def plan(browse: Browse, text: str, **more: Any) -> str:
    posted = {"devcontainer_config": text, **more}
    return str(browse.mona.post(f"{PARTS}plan", posted).content.decode())


def test_the_plan_says_what_would_be_built(browse: Browse, host: DockerHost):
    page = plan(browse, '{"image": "debian:sid", "postCreateCommand": "true"}')
    assert "postCreateCommand" in page
    assert "not known yet" in page


def test_the_plan_says_that_all_is_there(browse: Browse, cast: Cast, cached: CachedImage):
    page = plan(browse, CONFIG + "// the same", crew=cast.crew.pk)
    assert f"Nothing to build: {cached.tag} is there." in page
    assert "as stored" in page
    assert "as stored" not in plan(browse, '{"image": "debian:sid"}', crew=cast.crew.pk)


def test_there_is_no_plan_for_what_cannot_be_saved_or_says_nothing(browse: Browse):
    assert "no plan for a config with problems" in plan(browse, '{"privileged": true}')
    assert "There is no devcontainer_config to plan." in plan(browse, "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "check"),
        ("post", "change"),
        ("post", "options"),
        ("post", "plan"),
        ("get", "features"),
        ("get", "tools"),
        ("get", "versions"),
    ],
)
def test_only_who_may_edit_is_answered(browse: Browse, method: str, path: str):
    statuses = {"mona": 200, "bob": 403, "vera": 403, "mallory": 404, "nobody": 302}
    found = {
        name: getattr(getattr(browse, name), method)(PARTS + path).status_code for name in statuses
    }
    assert found == statuses


def test_another_workspaces_crew_cannot_be_probed(browse: Browse, cast: Cast):
    answer = browse.mona.post(f"{PARTS}check", {"crew": cast.strange_crew.pk})
    assert answer.status_code == 404


@pytest.mark.parametrize("part", ["plan", "check"])
@pytest.mark.parametrize("crew_id", ["nonsense", "crw_\0", "crw_absent"])
def test_a_crew_that_cannot_be_is_not_found(browse: Browse, part: str, crew_id: str):
    answer = browse.mona.post(f"/w/acme/editor/{part}", {"crew": crew_id})
    assert answer.status_code == 404
