"""The codes that crewship.devcontainer can produce, read from its sources.

A code that is made in a way not understood here raises NotUnderstood: nothing is missed silently.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import crewship.devcontainer
from crewship.domain import errors

SOURCES = Path(crewship.devcontainer.__path__[0])
# Where the code stands among the arguments of a call.
PLACE_OF_CODE = {"Problem": 1, "problem": 1, "warn": 1, "problem_at": 1, "fail": 1}
Function = ast.FunctionDef | ast.Lambda


class NotUnderstood(Exception):
    pass


def codes() -> dict[str, set[str]]:
    """Each code with the modules that make it."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCES.glob("*.py")):
        reader = _Reader(path.name)
        reader.visit(ast.parse(path.read_text("utf-8")))
        for code in reader.found:
            found.setdefault(code, set()).add(path.name)
    return found


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str) -> None:
        self.module = module
        self.found: set[str] = set()
        self._functions: list[ast.FunctionDef] = []
        self._caught: dict[str, str] = {}  # name of a caught error: its class's code

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node)
        self.generic_visit(node)
        self._functions.pop()

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name and isinstance(node.type, ast.Name):
            code = _code_of_class(node.type.id)
            if code:
                self._caught[node.name] = code
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        given = next((word.value for word in node.keywords if word.arg == "code"), None)
        of_class = _code_of_class(name)
        if of_class is not None:
            self._add(given) if given else self.found.add(of_class)
        elif name in PLACE_OF_CODE:
            place = PLACE_OF_CODE[name]
            code = given or (node.args[place] if len(node.args) > place else None)
            if code is not None:
                self._add(code)
        self.generic_visit(node)

    def _add(self, code: ast.expr) -> None:
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            self.found.add(code.value)
        elif isinstance(code, ast.Attribute) and code.attr == "error_code":
            self.found.add(self._caught[ast.unparse(code.value)])
        elif isinstance(code, ast.Attribute) and code.attr == "code":
            return  # of another problem, which was made somewhere else
        elif isinstance(code, ast.Name) and self._functions:
            self._add_variable(code)
        else:
            raise NotUnderstood(f"{self.module}:{code.lineno}: {ast.unparse(code)}")

    def _add_variable(self, code: ast.Name) -> None:
        """What the function assigns to the name, or the parameter's default; a parameter without
        one is what callers give, who are looked at too."""
        function = self._functions[-1]
        texts = [text for node in ast.walk(function) for text in _assigned(node, code.id)]
        names = [arg.arg for arg in function.args.args]
        if code.id in names:
            defaults = function.args.defaults
            by_name = dict(zip(reversed(names), reversed(defaults), strict=False))
            texts += [by_name[code.id]] if code.id in by_name else []
        elif not texts:
            raise NotUnderstood(f"{self.module}:{code.lineno}: {code.id}")
        for text in texts:
            self._add(text)


def _assigned(node: ast.AST, name: str) -> list[ast.expr]:
    """The values that a statement gives to ``name``, alone or as one of a tuple."""
    if not isinstance(node, ast.Assign):
        return []
    found: list[ast.expr] = []
    for target in node.targets:
        if isinstance(target, ast.Name) and target.id == name:
            found.append(node.value)
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=True)
            found += [v for t, v in pairs if isinstance(t, ast.Name) and t.id == name]
    return found


def _code_of_class(name: str) -> str | None:
    found = getattr(errors, name, None)
    if inspect.isclass(found) and issubclass(found, errors.CrewshipError):
        return found.code
    return None
