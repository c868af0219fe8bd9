"""``crewship plan``: what a config would install, without building anything.

With ``--metadata`` it is a function of files and settings: no network, engine, server, database
or Django. Without it, ``plan_on_host`` asks registries, the engine and our records.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crewship.cli.texts import find_devcontainer
from crewship.devcontainer import config as devcontainer_config
from crewship.devcontainer import lock as devcontainer_lock
from crewship.devcontainer import mise as devcontainer_mise
from crewship.devcontainer.metadata_map import load_metadata_map
from crewship.devcontainer.order import order_features
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.planned import Planned, error_document, plan_document
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import CrewSpec
from crewship.domain.errors import (
    ConfigError,
    ConfigInvalid,
    CrewshipError,
    Problem,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
METADATA = "metadata"  # the path of problems with the file of --metadata


def _file(about: str, *, folder: bool = False) -> Any:  # Any: Typer's own type of an option
    return typer.Option(exists=True, dir_okay=folder, readable=True, help=about)


def plan(
    config: Annotated[Path, _file("A devcontainer.json, or its folder.", folder=True)],
    mise: Annotated[Path | None, _file("A mise config, JSON or TOML.")] = None,
    lock: Annotated[Path | None, _file("A devcontainer-lock.json.")] = None,
    metadata: Annotated[
        Path | None,
        _file("Features' metadata by reference (JSON); then nothing else is asked."),
    ] = None,
    image: Annotated[str, typer.Option(help="Start from this image instead of the config's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show what a config would install, without building.

    In which order, with which options, and which layers are there already. Exit code 1 when the
    config can't be planned, 2 when something needed can't be reached.
    """
    try:
        policy = _policy()
        config = find_devcontainer(config)
        spec = _read(config, mise, lock, image, policy)
        planned = _plan_offline(spec, metadata, policy) if metadata else _plan_on_host(spec)
    except CrewshipError as error:
        _show_error(error, config, as_json)
        raise typer.Exit(1 if isinstance(error, ConfigError) else 2) from error
    if as_json:
        _print_json(plan_document(planned))
        return
    from crewship.cli.plan_table import show_plan  # rich; nobody waits for it with --json

    show_plan(plan_document(planned), planned.notes)


def _policy() -> Policy:
    """What the operator allows, from the environment as everywhere."""
    # Importing the settings makes a secret key in the data directory when there is none. A plan
    # signs nothing and leaves nothing behind, so it brings one of its own.
    os.environ.setdefault("CREWSHIP_LOG_LEVEL", "WARNING")  # the terminal is for the answer
    if "crewship.settings" not in sys.modules:
        os.environ.setdefault("CREWSHIP_SECRET_KEY", "a plan signs nothing")
    from crewship.settings.options import read_options

    return read_options(PROJECT).policy


def _read(
    config: Path, mise: Path | None, lock: Path | None, image: str, policy: Policy
) -> CrewSpec:
    return devcontainer_config.read_crew(
        _text(config, devcontainer_config.ROOT),
        _text(mise, devcontainer_mise.ROOT) if mise else None,
        image or None,
        policy,
        _text(lock, devcontainer_lock.LOCK) if lock else None,
    )


def _text(file: Path, path: str) -> str:
    """The file's text, byte for byte. Raises ConfigInvalid when it is not UTF-8."""
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {error.start + 1})"
        raise ConfigInvalid([Problem(path, "syntax", message)]) from error
    except OSError as error:
        message = f"{file} can't be read: {error.strerror}"
        raise ConfigInvalid([Problem(path, "unreadable", message)]) from error


def _plan_offline(spec: CrewSpec, metadata: Path, policy: Policy) -> Planned:
    """By the file alone. A lock is checked and hashed, but there is nothing to resolve by it."""
    try:
        resolve = load_metadata_map(_text(metadata, METADATA))
    except ConfigInvalid as error:
        problems = [_below_metadata(problem) for problem in error.problems]
        raise ConfigInvalid(problems) from error
    ordered = order_features(
        spec.features, spec.override_order, resolve, policy=policy, aliases=resolve
    )
    return Planned(make_plan(spec, ordered, base=None, mise_digest=None, policy=policy))


def _below_metadata(problem: Problem) -> Problem:
    path = f"{METADATA}.{problem.path}" if problem.path != METADATA and problem.path else METADATA
    return Problem(path, problem.code, problem.message, problem.line, problem.column)


def _plan_on_host(spec: CrewSpec) -> Planned:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
    # Django, HTTP and Docker: not for a plan that needs none of them.
    import django

    django.setup()
    from crewship.cli.plan_on_host import plan_on_host

    return plan_on_host(spec)


def _show_error(error: CrewshipError, config: Path, as_json: bool) -> None:
    if as_json:
        _print_json(error_document(error))
        return
    document = error_document(error)
    lines = [f"{config} can't be planned:"]
    if isinstance(error, ConfigInvalid):
        lines += [f"  {problem} [{problem.code}]" for problem in error.problems]
    else:
        lines += [f"  {error.message} [{document['error']['code']}]", f"  {error.error_hint}"]
    sys.stderr.write("\n".join(line for line in lines if line.strip()) + "\n")


def _print_json(document: Mapping[str, Any]) -> None:  # Any: JSON
    """ASCII, so that no terminal's encoding matters; the same bytes for the same plan."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
