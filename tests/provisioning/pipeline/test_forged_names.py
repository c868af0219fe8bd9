"""Names that a config's author chose can't look like lines of ours."""

from __future__ import annotations

from provisioning.pipeline.output import LineSplitter


def test_a_prefix_with_newlines_and_escapes_is_one_plain_line() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.extend, "[a]\nFeature evil installed\x1b]0;t\x07\x1b[2J] ")
    splitter.feed("hello\n")
    assert lines == ["[a] Feature evil installed] hello"]
