"""Step 4: mise and its tools, installed by the agent outside its home, as one layer.

Nothing of the tools is below the home (agents mount a volume there), and their PATH and variables
are baked into the image, so that ``docker run``, ``sh -c`` and login shells all find them.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from crewship.devcontainer.plan import feature_env_so_far
from crewship.devcontainer.types import LayerKind, MiseSpec
from crewship.domain.errors import BuildStepFailed, CrewshipError
from crewship.engine.base import ImageConfig
from crewship.registry.mise import MiseBinary
from provisioning.pipeline.context import (
    AGENT_UID,
    MISE_CACHE_DIR,
    MISE_INSTALL_HOME,
    Context,
    Tools,
)
from provisioning.pipeline.layers import Made, build_layer
from provisioning.pipeline.pull_base import with_default_versions
from provisioning.pipeline.scratch import Env, Scratch, agent_owned, step_env, tar_of

MISE_HOME = "/opt/mise"
MISE_BINARY = "usr/local/bin/mise"
_CHUNK = 1 << 20


def install_mise(context: Context, tools: Tools) -> Context:
    """The tip has the tools of the mise config; ``mise_facts`` says with which environment."""
    layers = [layer for layer in context.known_plan.layers if layer.kind == LayerKind.MISE]
    if not layers:
        return context
    binary = context.mise
    spec = with_default_versions(context.request.spec.mise, tools.options.default_versions)
    if binary is None:
        raise CrewshipError("mise tools are asked for, but no mise binary was fetched")
    names = ", ".join(tool.name for tool in spec.tools)
    tools.emit.message(f"installing mise tools ({names})")
    plan = context.known_plan
    base_env = context.known_base.config.env
    before = feature_env_so_far(
        plan, len(plan.features) - 1, base_env, context.request.devcontainer_id
    )

    def work(scratch: Scratch) -> Made:
        _put_mise(scratch, binary, _config_toml(spec))
        env = [*before, *step_env(tools), *_install_env(), *tools.options.mise_env.items()]
        scratch.run("mise install", ["mise", "install"], user=AGENT_UID, env=env)
        facts = _facts(scratch, env, before)
        return Made(ImageConfig(env=tuple(before), cmd=("/bin/sh",)), facts)

    result = build_layer(context, tools, layers[0], work)
    for tool, versions in result.facts["tools"].items():
        done = "reused" if result.hit else "installed"
        tools.emit.system(f"Tool {tool}@{', '.join(versions)} {done}")
    return replace(context, tip=result.image_id, mise_facts=result.facts)


def _install_env() -> Env:
    return (
        ("MISE_DATA_DIR", MISE_HOME),
        ("MISE_CACHE_DIR", MISE_CACHE_DIR),
        # What installers put into the home would be hidden by the volume that agents mount there.
        ("HOME", MISE_INSTALL_HOME),
        ("MISE_RUSTUP_HOME", f"{MISE_HOME}/rustup"),
        ("MISE_CARGO_HOME", f"{MISE_HOME}/cargo"),
        ("MISE_YES", "1"),
        ("MISE_COLOR", "0"),
        ("MISE_TERMINAL_PROGRESS", "0"),  # no bar redrawn every few seconds
    )


def _config_toml(spec: MiseSpec) -> str:
    """mise's own config with the tools only: it expands templates in env values, and ours are
    literal, so they are baked into the image instead. JSON strings are TOML basic strings."""
    lines = ["[tools]"]
    for tool in spec.tools:
        lines.append(f"{json.dumps(tool.name)} = {json.dumps(tool.versions)}")
    return "\n".join(lines) + "\n"


def _put_mise(scratch: Scratch, binary: MiseBinary, config: str) -> None:
    scratch.capture("Preparing mise", ["/bin/sh", "-c", "mkdir -p /usr/local/bin /etc/mise /opt"])
    scratch.tools.engine.put_archive(scratch.name, "/", _binary_tar(binary.path))
    scratch.put("/", tar_of({"etc/mise/config.toml": config.encode()}))
    scratch.put(
        "/", agent_owned([d.lstrip("/") for d in (MISE_HOME, MISE_CACHE_DIR, MISE_INSTALL_HOME)])
    )


def _binary_tar(path: Path) -> Iterator[bytes]:
    """A tar with the one file, streamed: the binary has 150 MB."""
    member = tarfile.TarInfo(MISE_BINARY)
    member.size, member.mode = path.stat().st_size, 0o755
    yield member.tobuf(tarfile.USTAR_FORMAT)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield bytes(-member.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _facts(scratch: Scratch, env: Env, before: Env) -> dict[str, Any]:
    """What the final image must carry: PATH with the tools in front, and their variables."""

    def ask(*argv: str) -> str:
        return scratch.capture(" ".join(argv), argv, user=AGENT_UID, env=env)

    def ask_json(*argv: str) -> dict[str, Any]:
        answer = ask(*argv)
        try:
            return dict(json.loads(answer))
        except ValueError as err:
            raise BuildStepFailed(f"{' '.join(argv)} printed no JSON: {answer[:300]}") from err

    paths = ask("mise", "bin-paths").split("\n")
    said = ask_json("mise", "env", "--json")
    listed = ask_json("mise", "ls", "--json")
    old_path = dict(before).get("PATH", "")
    own = [path for path in paths if path.startswith("/")] + [f"{MISE_HOME}/shims"]
    return {
        "env": [
            ["PATH", ":".join([*own, old_path]).rstrip(":")],
            ["MISE_DATA_DIR", MISE_HOME],
            *([k, v] for k, v in sorted(said.items()) if k != "PATH" and isinstance(v, str)),
        ],
        "tools": {name: [v["version"] for v in versions] for name, versions in listed.items()},
    }
