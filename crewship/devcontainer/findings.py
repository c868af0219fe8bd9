"""What reading a config found out: all problems at once, and the warnings beside them."""

from __future__ import annotations

from typing import Final

from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigInvalid, Problem

MAX_PATH: Final = 600  # characters; names are as long as the text, and each finding says its path


class Findings:
    """Collects problems (the config is refused) and warnings (legal, but not as it looks)."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, path: str, code: str, message: str) -> None:
        self.problems.append(Problem(clip(path), code, message))

    def warn(self, path: str, code: str, message: str) -> None:
        self.warnings.append(Problem(clip(path), code, message))

    def wrong_type(self, path: str, expected: str, value: Json) -> None:
        self.problem(path, "wrong_type", f"expected {expected}, found {type_name(value)}")

    def raise_problems(self) -> None:
        """Raises ConfigInvalid when there is a problem; otherwise nothing happens."""
        if self.problems:
            raise ConfigInvalid(self.problems)


def clip(path: str) -> str:
    """``path``, its end left out where it is longer than MAX_PATH."""
    return path if len(path) <= MAX_PATH else f"{path[: MAX_PATH - 1]}…"


def type_name(value: Json) -> str:
    """The JSON name of a value's type, as a person would say it: ``a string``, ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list | tuple):
        return "an array"
    return "an object"


def shorten(text: str, limit: int = 80) -> str:
    """``text`` for a message: printable, on one line, at most ``limit`` characters long."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
