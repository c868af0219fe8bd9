"""How an error leaves the command: a line or two on stderr, or a problem as JSON on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crewship.cli.terminal import clean, print_json, say_on_stderr
from crewship.domain.errors import CrewshipError
from provisioning.pipeline.output import clean_text

REFUSED: Final = 2  # exit code: usage, refused or unreachable
MAX_PROBLEMS: Final = 20


def show_failure(error: CrewshipError, as_json: bool) -> None:
    """Said where the reader looks for it; the server's words are cleaned of control characters."""
    if as_json:
        print_json(problem_document(error))
        return
    say_on_stderr(line for text in failure_lines(error) for line in text.split("\n"))


def problem_document(error: CrewshipError) -> dict[str, Any]:  # Any: JSON
    """The server's problem as it came, or one of the same members that was found here."""
    if "detail" in error.extra:
        return dict(error.extra)
    body = {"detail": error.message, "code": error.error_code, "hint": error.error_hint}
    return {**{name: value for name, value in body.items() if value}, **error.extra}


def failure_lines(error: CrewshipError) -> list[str]:
    """Message and hint; with several problems each on a line, as ``path:line:column: message``."""
    problems = error.extra.get("errors")
    hint = [clean_text(error.error_hint)] if error.error_hint else []
    if isinstance(problems, list) and problems and all(isinstance(p, Mapping) for p in problems):
        lines = [f"  {problem_line(problem)}" for problem in problems[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            lines.append(f"  and {len(problems) - MAX_PROBLEMS} more")
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        return [f"crewship: {count}:", *lines, *hint]
    return [f"crewship: {clean_text(error.message)}", *hint]


def problem_line(problem: Mapping[str, Any]) -> str:  # Any: JSON
    where = str(problem.get("path") or "")
    if problem.get("line"):
        where += f":{problem['line']}:{problem.get('column') or 1}"
    message = clean(problem.get("message", ""))
    return f"{clean(where)}: {message}" if where else message
