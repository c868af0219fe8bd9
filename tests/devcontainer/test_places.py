from __future__ import annotations

import pytest

from crewship.devcontainer.config import read_crew
from crewship.devcontainer.places import span
from crewship.devcontainer.policy import Policy
from crewship.domain.errors import ConfigInvalid

TEXT = """\ufeff{
  // größe 🚢
  "image": "debian:sid", "features": {
    "ghcr.io/a.b/x:1": { "version": "1", "a.b": true },
    "ghcr.io/a.b/x:1.a": {}
  },\r
  "mounts": ["a", /* b */ "c"]
}
"""


@pytest.mark.parametrize(
    ("path", "place", "marked"),
    [
        ("image", (3, 3), '"image"'),
        ("features", (3, 26), '"features"'),
        ("features.ghcr.io/a.b/x:1", (4, 5), '"ghcr.io/a.b/x:1"'),
        ("features.ghcr.io/a.b/x:1.version", (4, 26), '"version"'),
        ("features.ghcr.io/a.b/x:1.a.b", (4, 42), '"a.b"'),
        ("features.ghcr.io/a.b/x:1.a", (5, 5), '"ghcr.io/a.b/x:1.a"'),
        ("mounts[1]", (7, 27), '"c"'),
        ("mounts.0.deeper", (7, 14), '"a"'),
        ("features.ghcr.io/a.b/x:1.missing", (4, 5), '"ghcr.io/a.b/x:1"'),
    ],
)
def test_path_has_a_place(path: str, place: tuple[int, int], marked: str) -> None:
    found = span(TEXT, path)
    assert found
    assert (found.line, found.column) == place
    assert TEXT[found.start : found.end] == marked


@pytest.mark.parametrize("path", ["", "runtime_image", "imag", "image2"])
def test_path_that_is_not_in_the_text_has_none(path: str) -> None:
    assert span(TEXT, path) is None


@pytest.mark.parametrize("text", ["", "// x", '{"a": ', '{"a": 1, "a": 2}'])
def test_text_that_cannot_be_read_has_no_places(text: str) -> None:
    assert span(text, "a") is None


def test_problems_of_a_config_are_found_in_its_text() -> None:
    text = (
        '{"features": {"evil.example/f/x:1": {"a": []}},'
        ' "capAdd": ["X"], "mounts": ["type=bind"], "privileged": true,'
        ' "containerEnv": {"A B": "x"}, "mise": {"tools": {"-": "1"}},'
        ' "postCreateCommand": {"": 1}}'
    )
    with pytest.raises(ConfigInvalid) as caught:
        read_crew(text, None, None, Policy())
    problems = caught.value.problems
    assert len({problem.path for problem in problems}) >= 7
    assert [problem.path for problem in problems if span(text, problem.path) is None] == []
