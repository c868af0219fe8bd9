"""``manage.py error_page``: docs/errors.md, made from the sources.

The sources are read, not imported: a code counts because it is written somewhere, whether as the
``code`` of an error class, as a ``code=`` argument, or as that of a problem or warning in a text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from crewship.domain.meanings import ERRORS, TEXTS
from crewship.web.problems import CODE_OF_STATUS, STATUS_OF

PACKAGES: Final = ("crewship", "provisioning", "cache", "catalogs")
ROOT_CLASS: Final = "CrewshipError"
TEXT_CALLS: Final = frozenset({"Problem", "problem", "warn", "problem_at", "fail"})
VALIDATION: Final = "ValidationError"  # of Django: a problem of a field
WEB: Final = Path("crewship/web/problems.py")  # makes codes for what others raise
INTRO: Final = """\
# Error codes

Made by `python manage.py error_page` from the sources; do not edit.

Every 4xx and 5xx of the API is a problem (RFC 9457) with one of these codes, a `detail` in words
and mostly a `hint`. A failed job has the same as its `error`; the commands print it.

## Errors

*Status* is that of an answer with this code; in a job's `error` it says nothing.

| code | status | class | meaning | what to do |
| --- | --- | --- | --- | --- |
"""
TEXTS_INTRO: Final = """
## Problems and warnings in texts

`config_invalid` lists problems as `errors`, each with `path`, `code` and `message` (and `line` and
`column` where the text itself is broken); `warnings` of a saved crew look alike and refuse nothing.
`invalid_ref` and `image_invalid` of above are among them. Plain fields of a request (`name`,
`slug`, …) have the codes of Django and Django REST framework beside these: `required`, `null`,
`blank`, `invalid`, `max_length` and the like.

| code | meaning |
| --- | --- |
"""
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorClass:
    name: str
    bases: tuple[str, ...]
    code: str | None
    hint: str | None
    meaning: str  # the docstring's first line


@dataclass(slots=True)
class Found:
    """What the sources say: classes by name, codes given at raise sites, codes in texts."""

    classes: dict[str, ErrorClass] = field(default_factory=dict)
    raised: dict[str, tuple[str, str]] = field(default_factory=dict)  # code -> class, hint
    answered: set[str] = field(default_factory=set)  # codes that WEB gives to others' errors
    in_texts: set[str] = field(default_factory=set)


class Command(BaseCommand):
    help = "Writes docs/errors.md from the sources; --check only says whether it is up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's
        page = settings.BASE_DIR / "docs" / "errors.md"
        text = render(read_sources(settings.BASE_DIR))
        if page.exists() and page.read_text() == text:
            self.stdout.write(f"{page.name} is up to date")
        elif options["check"]:
            raise CommandError(f"{page.name} is not up to date: run manage.py error_page")
        else:
            page.write_text(text)
            self.stdout.write(f"{page.name} is written")


def read_sources(root: Path) -> Found:
    """Everything that the packages' modules say about codes."""
    found = Found()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            reader = _Reader(found, is_web=path.relative_to(root) == WEB)
            reader.visit(ast.parse(path.read_text("utf-8")))
    return found


def render(found: Found) -> str:
    """The page. Raises CommandError naming each code that is not explained, or not there."""
    errors, texts = _error_rows(found), _text_rows(found)
    unexplained = [row[0] for row in (*errors, *texts) if not (row[3] if len(row) > 2 else row[1])]
    if unexplained:
        raise CommandError(
            f"no meaning for {', '.join(unexplained)}: give the class a docstring, or add the "
            "code to crewship/domain/meanings.py"
        )
    stale = [*sorted(set(ERRORS) - {r[0] for r in errors}), *sorted(set(TEXTS) - found.in_texts)]
    if stale:
        raise CommandError(f"crewship/domain/meanings.py has what no source has: {stale}")
    return INTRO + _lines(errors) + TEXTS_INTRO + _lines(texts)


def _lines(rows: list[Row]) -> str:
    return "".join(
        f"| `{code}` | {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"
        for code, *cells in rows
    )


def _error_rows(found: Found) -> list[Row]:
    """Code, status, class, meaning, hint; by code. A code of several classes has a row each, but
    for a base whose code its subclass repeats."""
    errors = {c.name: c for c in found.classes.values() if c.code and _is_error(c.name, found)}
    given = {cls.code: cls for cls in errors.values()}
    rows: list[Row] = []
    for name, cls in errors.items():
        heirs = (x for x in errors.values() if x.code == cls.code and x.name != name)
        if not any(name in _ancestry(heir.name, found) for heir in heirs):
            meaning = ERRORS.get(cls.code or "") or cls.meaning
            rows.append((cls.code or "", _status(name, found), name, meaning, _hint(name, found)))
    for code, (name, hint) in found.raised.items():
        if code not in given:
            hint = hint or _hint(name, found)
            rows.append((code, _status(name, found), name, ERRORS.get(code, ""), hint))
    known = {row[0] for row in rows}
    statuses = {code: status for status, code in CODE_OF_STATUS.items()}
    for code in (found.answered | set(statuses)) - known:
        rows.append((code, str(statuses.get(code, 400)), "", ERRORS.get(code, ""), ""))
    return sorted(rows)


def _text_rows(found: Found) -> list[Row]:
    return [(code, TEXTS.get(code, "")) for code in sorted(found.in_texts)]


def _ancestry(name: str, found: Found) -> Iterator[str]:
    yield name
    cls = found.classes.get(name)
    for base in cls.bases if cls else ():
        yield from _ancestry(base, found)


def _is_error(name: str, found: Found) -> bool:
    return ROOT_CLASS in _ancestry(name, found)


def _status(name: str, found: Found) -> str:
    """Empty for what only jobs end with; the root's stands for whatever is unexpected."""
    if name == ROOT_CLASS:
        return "500"
    lineage = set(_ancestry(name, found))
    return next((str(status) for cls, status in STATUS_OF if cls.__name__ in lineage), "")


def _hint(name: str, found: Found) -> str:
    classes = (found.classes.get(ancestor) for ancestor in _ancestry(name, found))
    return next((cls.hint for cls in classes if cls and cls.hint), "")


class _Reader(ast.NodeVisitor):
    def __init__(self, found: Found, *, is_web: bool) -> None:
        self._found = found
        self._is_web = is_web

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
        self._found.classes[node.name] = ErrorClass(
            node.name,
            tuple(_name(base) for base in node.bases),
            _attribute(node, "code"),
            _attribute(node, "hint"),
            " ".join(paragraph.replace("``", "`").split()),
        )
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Codes that a function keeps in its variable ``code`` until it uses them."""
        codes = {code for line in ast.walk(node) for code in _assigned(line, "code")}
        if self._is_web:
            self._found.answered |= codes
        elif any(isinstance(x, ast.Call) and _name(x.func) in TEXT_CALLS for x in ast.walk(node)):
            self._found.in_texts |= codes
        for name, default in zip(reversed(node.args.args), reversed(node.args.defaults)):  # noqa: B905  # aligned at their ends
            if name.arg == "code":
                self._found.in_texts.update(_literals(default))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        words = {word.arg: word.value for word in node.keywords if word.arg}
        codes, hints = _literals(words.get("code")), _literals(words.get("hint"))
        if name in TEXT_CALLS or name == VALIDATION:
            self._found.in_texts.update(codes or _literals(*node.args[1:2]))
        elif name == "Diagnosis":  # becomes the code of a BuildStepFailed
            code, hint = (_literals(argument)[0] for argument in node.args)
            self._found.raised.setdefault(code, ("BuildStepFailed", hint))
        elif name[:1].isupper():
            for code in codes:
                self._found.raised.setdefault(code, (name, "".join(hints[:1])))
        self.generic_visit(node)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _attribute(node: ast.ClassDef, name: str) -> str | None:
    return next((text for line in node.body for text in _assigned(line, name)), None)


def _assigned(node: ast.AST, name: str) -> list[str]:
    """The strings that an assignment gives to ``name``, alone or in a tuple."""
    if isinstance(node, ast.AnnAssign):
        return _literals(node.value) if _name(node.target) == name else []
    if not isinstance(node, ast.Assign):
        return []
    found: list[str] = []
    for target in node.targets:
        if _name(target) == name:
            found += _literals(node.value)
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=False)
            found += [text for part, x in pairs if _name(part) == name for text in _literals(x)]
    return found


def _literals(node: ast.expr | None = None) -> list[str]:
    """The strings that an expression can be: a literal, or one of an ``a if x else b``."""
    if isinstance(node, ast.IfExp):
        return _literals(node.body) + _literals(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
