"""What the editor's forms do to a crew's texts: features, options, base image, mise tools."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crewship.devcontainer import jsonc
from crewship.devcontainer.edit import remove, set_value
from crewship.devcontainer.jsonc import LINE_END
from crewship.devcontainer.layout import newline_near
from crewship.devcontainer.mise import is_toml, load_mise
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import Json
from crewship.domain.errors import ConfigError, InvalidFeatureRef

FEATURES: Final = "features"
_TABLE: Final = re.compile(r"[ \t]*\[")
_TOOLS: Final = re.compile(r"[ \t]*\[tools\][ \t]*(#.*)?")
_ASSIGNED: Final = re.compile(r"""[ \t]*(?P<name>[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')[ \t]*=""")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class EditByHand(ConfigError):
    """A mise.toml is written in a way that no form can change without touching the rest."""

    code = "edit_by_hand"
    hint = "Put the line into the text yourself."


@dataclass(frozen=True, slots=True)
class PresentFeature:
    """A feature that a text names: as written there, and the options that are given."""

    written: str
    options: Mapping[str, Json]


def present_features(text: str) -> tuple[PresentFeature, ...]:
    """In the order of the text; empty for a text without any. Raises ConfigInvalid for a text
    that can't be read."""
    features = _value(text).get(FEATURES)
    if not isinstance(features, dict):
        return ()
    return tuple(PresentFeature(ref, _options(given)) for ref, given in features.items())


def add_feature(text: str, ref: str) -> str:
    """``text`` with the feature and no options; unchanged when it names the feature already, in
    whatever version."""
    wanted = parse_feature_ref(ref).resource
    if any(_resource(feature.written) == wanted for feature in present_features(text)):
        return text
    return set_value(text, (FEATURES, ref), {})


def remove_feature(text: str, written: str) -> str:
    return remove(text, (FEATURES, written))


def set_option(text: str, written: str, option: str, value: str | bool | None) -> str:
    """``text`` with the option of the feature; None takes it out, so that the default counts.

    A feature given as a version (``"3.9"``) stays so while that is all there is to say.
    """
    given = (_value(text).get(FEATURES) or {}).get(written)
    path = (FEATURES, written)
    if isinstance(given, dict):
        inner = (*path, option)
        return remove(text, inner) if value is None else set_value(text, inner, value)
    options = {name: old for name, old in _options(given).items() if name != option}
    if value is None:
        return text if options == _options(given) else set_value(text, path, options)
    if isinstance(given, str) and option == "version" and isinstance(value, str):
        return set_value(text, path, value)
    return set_value(text, path, {**options, option: value})


def image_of(text: str) -> str:
    """What the text names as its image; "" where it names none."""
    image = _value(text).get("image")
    return image if isinstance(image, str) else ""


def set_image(text: str, image: str) -> str:
    return set_value(text, ("image",), image)


def has_mise(text: str) -> bool:
    """Whether the devcontainer config has mise tools of its own."""
    return _value(text).get("mise") is not None


def present_tools(text: str, below: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
    """The versions of each tool of a mise text, or of the object ``below`` in another text."""
    value = load_mise(text) if is_toml(text) else _value(text)
    for name in (*below, "tools"):
        value = value.get(name)
        if not isinstance(value, dict):
            return {}
    return {tool: _versions(given) for tool, given in value.items()}


def set_tool(text: str, tool: str, versions: Sequence[str], below: Sequence[str] = ()) -> str:
    """``text`` with these versions of the tool. Raises EditByHand for a mise.toml whose tools
    can't be told from its lines, with the line to add."""
    value: Json = versions[0] if len(versions) == 1 else list(versions)
    if not is_toml(text):
        return set_value(text, (*below, "tools", tool), value)
    return _edit_toml(text, tool, toml_line(tool, versions))


def remove_tool(text: str, tool: str, below: Sequence[str] = ()) -> str:
    """``text`` without the tool. Raises EditByHand as ``set_tool`` does."""
    if not is_toml(text):
        return remove(text, (*below, "tools", tool))
    return _edit_toml(text, tool, None)


def toml_line(tool: str, versions: Sequence[str]) -> str:
    """What ``[tools]`` of a mise.toml says for this tool."""
    name = tool if _BARE.fullmatch(tool) else _toml_string(tool)
    written = [_toml_string(version) for version in versions]
    return f"{name} = {written[0] if len(written) == 1 else '[' + ', '.join(written) + ']'}"


def _edit_toml(text: str, tool: str, line: str | None) -> str:
    """The tool's line of ``[tools]`` replaced, added or (None) taken out, then looked at again:
    only a text that reads as before but for this tool is given back."""
    before = load_mise(text)
    changed = _with_line(text, tool, line)
    wanted = {**before, "tools": dict(before.get("tools", {}))}
    wanted["tools"].pop(tool, None)
    if line is not None:
        wanted["tools"] |= tomllib.loads(line)
    try:
        after = tomllib.loads(changed.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        after = {}
    if {"tools": {}, **after} != wanted:
        raise EditByHand(
            f"This mise.toml can't be changed by the form. In [tools]: {line}"
            if line
            else f"This mise.toml can't be changed by the form. Take {tool} out of [tools]."
        )
    return changed


def _with_line(text: str, tool: str, line: str | None) -> str:
    pieces = re.split(f"({LINE_END.pattern})", text)  # lines at even places, their ends at odd ones
    lines = [pieces[i] + "".join(pieces[i + 1 : i + 2]) for i in range(0, len(pieces), 2)]
    newline = newline_near(text, len(text))
    header = next((i for i, row in enumerate(lines) if _TOOLS.fullmatch(row.rstrip("\r\n"))), None)
    if header is None:
        lead = "" if not text or text.endswith(("\n", "\r")) else newline
        return f"{text}{lead}[tools]{newline}{line}{newline}" if line else text
    end = next((i for i in range(header + 1, len(lines)) if _TABLE.match(lines[i])), len(lines))
    for index in range(header + 1, end):
        if _assigned(lines[index]) == tool:
            ending = lines[index][len(lines[index].rstrip("\r\n")) :]
            lines[index] = "" if line is None else line + ending
            return "".join(lines)
    if line is None:
        return text
    last = max(i for i in range(header, end) if i == header or _assigned(lines[i]))
    if not lines[last].endswith(("\n", "\r")):
        lines[last] += newline
    lines.insert(last + 1, line + newline)
    return "".join(lines)


def _assigned(row: str) -> str:
    match = _ASSIGNED.match(row)
    return match["name"].strip("\"'") if match else ""


def _toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(text: str) -> dict[str, Json]:
    """The object that a text says; nothing for a text without one."""
    if not text.removeprefix("\ufeff").strip():
        return {}
    value = jsonc.parse(text)
    return value if isinstance(value, dict) else {}


def _options(given: Json) -> dict[str, Json]:
    """As ``read_features`` takes them: a string is the version, true is none."""
    if isinstance(given, str):
        return {"version": given}
    return dict(given) if isinstance(given, dict) else {}


def _resource(written: str) -> str:
    try:
        return parse_feature_ref(written).resource
    except InvalidFeatureRef:
        return ""


def _versions(given: Json) -> tuple[str, ...]:
    items = given if isinstance(given, list) else [given]
    named = [item.get("version", "") if isinstance(item, dict) else item for item in items]
    return tuple(str(item) for item in named)
