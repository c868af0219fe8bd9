"""`crewship plan` for people: tables, plain in a pipe, and no control character of a value."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from crewship.cli import plan_table
from crewship.cli.main import app
from crewship.cli.plan_table import show_plan
from crewship.devcontainer.planned import Planned, plan_document
from tests.devcontainer.examples import OURS, plan_of


def piped(
    tmp_path: Path, config: object, metadata: Mapping[str, Any] | None = None
) -> tuple[int, str, str]:
    (tmp_path / "c.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (tmp_path / "m.json").write_text(json.dumps(metadata or {}))
    paths = ["--config", str(tmp_path / "c.json"), "--metadata", str(tmp_path / "m.json")]
    result = CliRunner().invoke(app, ["plan", *paths])
    return result.exit_code, result.stdout, result.stderr


def shown(planned: Planned, monkeypatch: pytest.MonkeyPatch, width: int, **kind: Any) -> str:
    """What a terminal of that width gets."""
    out = io.StringIO()

    def console(**_: Any) -> Console:
        return Console(file=out, force_terminal=True, width=width, highlight=False, **kind)

    monkeypatch.setattr(plan_table, "Console", console)
    show_plan(plan_document(planned), planned.notes)
    return out.getvalue()


def test_features_stand_in_their_order_with_their_options(tmp_path: Path) -> None:
    metadata = {f"{OURS}/zoo:1": {}, f"{OURS}/app:1": {"installsAfter": [f"{OURS}/zoo"]}}
    config = {"features": {f"{OURS}/app:1": {"b": True, "my opt": "x y"}, f"{OURS}/zoo:1": "2"}}
    code, out, _ = piped(tmp_path, config, metadata)
    assert code == 0
    assert out.index("zoo:1") < out.index("app:1")
    for text in ("b=true", '"my opt"="x y"', "Base    debian:bookworm-slim", "unknown"):
        assert text in out


def test_a_pipe_gets_no_colours_and_no_cut(tmp_path: Path) -> None:
    long = "x" * 300
    config = {"features": {f"{OURS}/a:1": {"text": long}}, "unheard": 1}
    _, out, _ = piped(tmp_path, config, {f"{OURS}/a:1": {}})
    assert "\x1b" not in out
    assert "".join(out.split()).count("x") >= 300
    assert "unheard: unheard has no effect here [key_ignored]" in out


def test_control_characters_of_a_value_reach_no_terminal(tmp_path: Path) -> None:
    config = {"features": {f"{OURS}/a:1": {"text": "\x1b[31m\x07[bold]x[/]"}}}
    _, out, _ = piped(tmp_path, config, {f"{OURS}/a:1": {}})
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"\u001b[31m\u0007[bold]x[/]" in out


def test_problems_go_to_stderr_each_on_a_line(tmp_path: Path) -> None:
    code, out, err = piped(tmp_path, {"build": {}, "privileged": True})
    assert (code, out) == (1, "")
    assert "[build_refused]" in err
    assert "[privileged_refused]" in err


def test_an_error_has_its_hint(tmp_path: Path) -> None:
    _, _, err = piped(tmp_path, {"features": {f"{OURS}/ghost:1": {}}})
    assert "[not_found]" in err
    assert "Check the feature's name" in err


@pytest.mark.parametrize("width", [80, 120])
def test_layers_say_whether_they_are_there(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan_of([("node:1", {}), (f"{'long-' * 12}name:1", {})])
    keys = [layer.key or "" for layer in made.layers]
    planned = Planned(made, {keys[0]: True, keys[1]: False}, ("A note.",))
    lines = shown(planned, monkeypatch, width, color_system=None).split("\n")
    assert all(len(line) <= width for line in lines)
    [present] = [line for line in lines if "present" in line]
    assert "user agent" in present
    assert keys[0][:12] in present
    assert [line for line in lines if "missing" in line and "node:1" in line]
    assert sum("unknown" in line for line in lines) == 2
    assert "  A note." in [line.rstrip() for line in lines]


def test_a_terminal_gets_colours_unless_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned(plan_of())
    assert "\x1b[" in shown(planned, monkeypatch, 80, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(planned, monkeypatch, 80, color_system="standard")
