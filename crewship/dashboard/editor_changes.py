"""The acts of the editor's pickers and forms, as changes of the crew's texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.http import QueryDict

from catalogs.entries import FeatureEntry
from catalogs.selectors import feature_catalog, runtime_catalog
from crewship.devcontainer import form
from crewship.devcontainer.config import MAX_TEXT_BYTES
from crewship.devcontainer.mise import is_toml
from crewship.devcontainer.refs import parse_feature_ref
from crewship.domain.errors import ConfigError, ConfigInvalid, InvalidFeatureRef, Problem

DEVCONTAINER: Final = "devcontainer_config"
MISE: Final = "mise_config"
OPTION: Final = "option."  # the prefix of an option's field

Texts = Mapping[str, str]


class UnknownEdit(ConfigError):
    """The dashboard was asked for a change of a text that it does not have."""

    code = "unknown_edit"
    hint = "Reload the page."


@dataclass(frozen=True, slots=True)
class Changed:
    field: str
    text: str
    message: str  # what happened, for the status line


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A feature of the text, with what the catalog knows of it."""

    written: str
    resource: str
    name: str
    icon: str
    given: str  # "version 20, pnpm true"
    has_options: bool


@dataclass(frozen=True, slots=True)
class ToolRow:
    tool: str
    name: str
    icon: str
    versions: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What the texts have now; ``broken`` where one can't be read."""

    features: tuple[FeatureRow, ...] = ()
    tools: tuple[ToolRow, ...] = ()
    image: str = ""
    broken: str = ""
    mise_broken: str = ""
    in_devcontainer: bool = False  # the mise tools are in the devcontainer config
    toml: bool = False


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option in the form; ``value`` is what the text has, "" where it leaves the default."""

    name: str
    type: str
    description: str
    default: str
    value: str
    choices: tuple[str, ...]
    proposals: tuple[str, ...]

    @property
    def id(self) -> str:
        return "option-" + "".join(c if c.isalnum() and c.isascii() else "-" for c in self.name)


def change(texts: Texts, data: QueryDict) -> Changed:
    """The one text that the act named by ``edit`` changes, as it is afterwards.

    Raises ConfigError: ConfigInvalid where the text can't be read, EditByHand, UnknownEdit, or
    what is wrong with a reference.
    """
    act = _ACTS.get(data.get("edit", ""))
    if act is None:
        raise UnknownEdit("There is no such edit.")
    for name, text in texts.items():
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > MAX_TEXT_BYTES:
            message = f"{size} bytes, at most {MAX_TEXT_BYTES}"
            raise ConfigInvalid([Problem(name, "too_large", message)])
    return act(texts, data)


def parts(texts: Texts) -> Parts:
    """Never raises: what can't be read is said in ``broken``."""
    text = texts[DEVCONTAINER]
    features: tuple[FeatureRow, ...] = ()
    image, broken, below = "", "", False
    try:
        features = tuple(_feature_row(feature) for feature in form.present_features(text))
        image, below = form.image_of(text), mise_below(texts) != ()
    except ConfigInvalid as err:
        broken = str(err)
    try:
        where = DEVCONTAINER if below else MISE
        found = form.present_tools(texts[where], ("mise",) if below else ())
        tools = tuple(_tool_row(tool, versions) for tool, versions in found.items())
    except ConfigInvalid as err:
        return Parts(features, (), image, broken, str(err))
    return Parts(features, tools, image, broken, "", below, is_toml(texts[MISE]))


def mise_below(texts: Texts) -> tuple[str, ...]:
    """Where in the devcontainer config the mise tools are; () for a text of their own."""
    return ("mise",) if not texts[MISE].strip() and form.has_mise(texts[DEVCONTAINER]) else ()


def option_fields(texts: Texts, written: str) -> tuple[OptionField, ...] | None:
    """The feature's declared options with what the text gives; None where they aren't known."""
    entry = _entry(written)
    if entry is None or entry.options is None:
        return None
    given = _given(texts, written)
    return tuple(
        OptionField(
            name=option["name"],
            type=option["type"],
            description=option["description"],
            default=_shown(option["default"]),
            value=_shown(given.get(option["name"])),
            choices=("true", "false") if option["type"] == "boolean" else tuple(option["enum"]),
            proposals=tuple(option["proposals"]),
        )
        for option in entry.options
    )


def feature_name(written: str) -> str:
    entry = _entry(written)
    return entry.name if entry else written.rpartition("/")[2]


def _add_feature(texts: Texts, data: QueryDict) -> Changed:
    ref = data.get("ref", "").strip()
    text = form.add_feature(texts[DEVCONTAINER], ref)
    if text == texts[DEVCONTAINER]:
        return Changed(DEVCONTAINER, text, f"{feature_name(ref)} is in the text already.")
    return Changed(DEVCONTAINER, text, f"{feature_name(ref)} was added to the text.")


def _remove_feature(texts: Texts, data: QueryDict) -> Changed:
    ref = data.get("ref", "")
    text = form.remove_feature(texts[DEVCONTAINER], ref)
    return Changed(DEVCONTAINER, text, f"{feature_name(ref)} was taken out of the text.")


def _set_options(texts: Texts, data: QueryDict) -> Changed:
    """Only options whose field says something else than the text are touched."""
    written, text = data.get("ref", ""), texts[DEVCONTAINER]
    changed = 0
    for option in option_fields(texts, written) or ():
        value = data.get(OPTION + option.name)
        if value is None or value == option.value:
            continue
        new: str | bool | None = value or None
        if option.type == "boolean" and value in option.choices:
            new = value == "true"
        text = form.set_option(text, written, option.name, new)
        changed += 1
    noun = "option" if changed == 1 else "options"
    return Changed(DEVCONTAINER, text, f"{changed} {noun} of {feature_name(written)} changed.")


def _set_image(texts: Texts, data: QueryDict) -> Changed:
    image = data.get("image", "").strip()
    text = form.set_image(texts[DEVCONTAINER], image)
    return Changed(DEVCONTAINER, text, f"The base image is {image}.")


def _set_tool(texts: Texts, data: QueryDict) -> Changed:
    tool = data.get("tool", "").strip()
    versions = [v.strip() for v in data.get("versions", "").split(",") if v.strip()] or [""]
    below = mise_below(texts)
    field = DEVCONTAINER if below else MISE
    text = form.set_tool(texts[field], tool, versions, below)
    return Changed(field, text, f"{tool} {', '.join(versions)} is in the text.")


def _remove_tool(texts: Texts, data: QueryDict) -> Changed:
    tool, below = data.get("tool", ""), mise_below(texts)
    field = DEVCONTAINER if below else MISE
    text = form.remove_tool(texts[field], tool, below)
    return Changed(field, text, f"{tool} was taken out of the text.")


_ACTS: Final[dict[str, Callable[[Texts, QueryDict], Changed]]] = {
    "add_feature": _add_feature,
    "remove_feature": _remove_feature,
    "set_options": _set_options,
    "set_image": _set_image,
    "set_tool": _set_tool,
    "remove_tool": _remove_tool,
}


def _feature_row(feature: form.PresentFeature) -> FeatureRow:
    entry = _entry(feature.written)
    given = ", ".join(f"{name} {_shown(value)}" for name, value in feature.options.items())
    return FeatureRow(
        written=feature.written,
        resource=entry.key if entry else "",
        name=entry.name if entry else feature.written.rpartition("/")[2],
        icon=entry.icon if entry else "puzzle",
        given=given,
        has_options=bool(entry and entry.options),
    )


def _tool_row(tool: str, versions: tuple[str, ...]) -> ToolRow:
    entry = runtime_catalog().known.get(tool)
    shown = ", ".join(version or "default" for version in versions)
    return ToolRow(tool, entry.name if entry else tool, entry.icon if entry else "wrench", shown)


def _entry(written: str) -> FeatureEntry | None:
    try:
        return feature_catalog().known.get(parse_feature_ref(written).resource)
    except InvalidFeatureRef:
        return None


def _given(texts: Texts, written: str) -> Mapping[str, object]:
    for feature in form.present_features(texts[DEVCONTAINER]):
        if feature.written == written:
            return feature.options
    return {}


def _shown(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
