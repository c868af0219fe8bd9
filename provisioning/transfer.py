"""A crew as files of a repository: taken in as they are, and given out so that they come back as
the same config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crewship.crews.models import Crew
from crewship.devcontainer import jsonc
from crewship.devcontainer.lock import lock_text
from crewship.domain.errors import ConfigInvalid, NotFound, Problem
from provisioning.selectors import resolved_features

CONFIG: Final = ".devcontainer/devcontainer.json"
LOCK: Final = ".devcontainer/devcontainer-lock.json"
MISE: Final = "mise.toml"

# Where tools look for each, and the text of a crew that it becomes.
FIELD_OF: Final[Mapping[str, str]] = {
    CONFIG: "devcontainer_config",
    ".devcontainer.json": "devcontainer_config",
    "devcontainer.json": "devcontainer_config",
    LOCK: "lock_config",
    ".devcontainer-lock.json": "lock_config",
    "devcontainer-lock.json": "lock_config",
    MISE: "mise_config",
    ".mise.toml": "mise_config",
    "mise.json": "mise_config",
}


@dataclass(frozen=True, slots=True)
class CrewFiles:
    """``locked`` says whether the crew goes by the lock file; if not, the file only records what
    its features resolved to, and taking it in changes nothing."""

    slug: str
    name: str
    runtime_image: str
    files: Mapping[str, str]
    locked: bool


def export_crew(crew: Crew) -> CrewFiles:
    """The crew's texts, byte for byte, under the names that tools look for; and a lock: its own,
    else one of what was resolved, if anything was."""
    texts = {CONFIG: crew.devcontainer_config, MISE: crew.mise_config, LOCK: crew.lock_config}
    files = {name: text for name, text in texts.items() if text is not None}
    locked = LOCK in files
    if not locked:
        try:
            resolved = resolved_features(crew)
        except NotFound:
            resolved = []
        if resolved:
            files[LOCK] = lock_text(resolved)
    return CrewFiles(crew.slug, crew.name, crew.runtime_image, files, locked)


def read_files(files: Mapping[str, str], *, locked: bool = True) -> dict[str, Any]:
    """The texts of a crew, and the ``name`` that its config says, if it does.

    Raises ConfigInvalid for no file, an empty one (``empty_file``), one of no known name
    (``file_unknown``) or two of a kind (``file_twice``); what is in them is judged when saved.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, text in files.items():
        path = f"files.{name[:100]}"
        field = FIELD_OF.get(name.removeprefix("./"))
        if field is None:
            known = ", ".join(FIELD_OF)
            problems.append(Problem(path, "file_unknown", f"no file of a crew; those are {known}"))
        elif not text.strip():
            problems.append(Problem(path, "empty_file", "the file is empty"))
        elif field in values:
            problems.append(Problem(path, "file_twice", f"another file is the {field} already"))
        else:
            values[field] = text
    if not files:
        problems.append(Problem("files", "config_missing", "there is no file"))
    if problems:
        raise ConfigInvalid(problems)
    if not locked:
        values.pop("lock_config", None)
    name = _name_in(values.get("devcontainer_config", ""))
    return {**values, **({"name": name} if name else {})}


def _name_in(text: str) -> str:
    """The config's ``name``; empty where it has none or can't be read, which saving will say."""
    try:
        config = jsonc.parse(text)
    except ConfigInvalid:
        return ""
    name = config.get("name") if isinstance(config, dict) else None
    return name.strip()[:100] if isinstance(name, str) else ""
