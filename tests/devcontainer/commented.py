"""Devcontainer configs as people write them, from a seed: comments everywhere, trailing commas,
tabs, CRLF, a BOM, one line and many, odd spacing."""

from __future__ import annotations

import json
from random import Random
from typing import Any

Json = Any

FEATURES = tuple(f"ghcr.io/devcontainers/features/{name}" for name in ("node", "go", "a.b_c-d"))
REMARKS = ("why: größe 🚢", 'a "quoted" } ] word', "TODO, later", "*/ // {", "")


class Writer:
    """Every comment has a number, so that none can be lost or doubled unseen."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.newline = rng.choice(("\n", "\n", "\r\n"))
        self.unit = rng.choice(("  ", "    ", "\t", " "))
        self.colon = rng.choice((": ", ": ", ":", " : ", ":\t"))
        self.trailing = rng.random() < 0.4
        self.remarks = rng.choice((0.0, 0.15, 0.5))
        self.count = 0

    def document(self, value: Json) -> str:
        bom = "\ufeff" if self.rng.random() < 0.2 else ""
        end = self.rng.choice(("", self.newline, self.newline * 2))
        return f"{bom}{self.own_lines('')}{self.value(value, '')}{self.same_line()}{end}"

    def value(self, value: Json, indent: str) -> str:
        if isinstance(value, dict):
            items = [
                f"{json.dumps(name, ensure_ascii=False)}{self.colon}"
                f"{self.inside()}{self.value(item, indent + self.unit)}"
                for name, item in value.items()
            ]
            return self.group("{}", items, indent)
        if isinstance(value, list):
            items = [self.value(item, indent + self.unit) for item in value]
            return self.group("[]", items, indent)
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.2)

    def group(self, braces: str, items: list[str], indent: str) -> str:
        many_lines = any(end in item for item in items for end in "\r\n")
        if not many_lines and self.rng.random() < 0.25:
            space = self.rng.choice(("", " "))
            trailing = "," if items and self.trailing else ""
            inner = f",{space}".join(f"{item}{self.inside()}" for item in items)
            return f"{braces[0]}{space}{inner}{trailing}{space}{braces[1]}"
        if not items and self.rng.random() < 0.5:
            return braces
        inner = indent + self.unit
        out = f"{braces[0]}{self.same_line()}{self.newline}"
        for index, item in enumerate(items):
            comma = "," if index < len(items) - 1 or self.trailing else ""
            gap = self.inside() if comma else ""
            out += f"{self.own_lines(inner)}{inner}{item}{gap}{comma}{self.same_line()}"
            out += self.newline
        return f"{out}{self.own_lines(inner)}{indent}{braces[1]}"

    def own_lines(self, indent: str) -> str:
        return f"{indent}{self.remark()}{self.newline}" if self.chance() else ""

    def same_line(self) -> str:
        return f" {self.remark()}" if self.chance() else ""

    def inside(self) -> str:
        return f"{self.block()} " if self.chance() and self.chance() else ""

    def chance(self) -> bool:
        return self.rng.random() < self.remarks

    def remark(self) -> str:
        self.count += 1
        return f"// {self.count} {self.rng.choice(REMARKS)}"

    def block(self) -> str:
        self.count += 1
        return f"/* {self.count} {self.rng.choice(REMARKS).replace('*/', '')} */"


def some_config(rng: Random) -> dict[str, Json]:
    """What a devcontainer.json may say, in any order, some of it missing or null."""
    parts: dict[str, Json] = {
        "name": "größe",
        "image": "debian:bookworm-slim",
        "features": {
            f"{ref}{rng.choice(('', ':1', ':1.2'))}": rng.choice(
                ({}, True, "1.2", {"version": "20"}, {"version": "lts", "x": True})
            )
            for ref in rng.sample(FEATURES, rng.randint(0, 3))
        },
        "overrideFeatureInstallOrder": list(rng.sample(FEATURES, rng.randint(0, 2))),
        "containerEnv": {"A": "// no comment", "B": '/* " */'},
        "mounts": [{"type": "volume", "source": "x", "target": "/x"}],
        "postCreateCommand": {"a": ["echo", "a"], "b": "true"},
        "customizations": {"vscode": {"settings": {}}},
        "mise": {"tools": {"node": "22", "npm:prettier": ["3", "2"]}, "env": {}},
    }
    if rng.random() < 0.15:
        parts["features"] = None
    names = rng.sample(list(parts), rng.randint(0, len(parts)))
    return {name: parts[name] for name in names}
