"""Parts of crews' texts that are legal, each as a function of a seeded Random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

Json = Any
Part = Callable[[Random], Json]

HEX = "0123456789abcdef"
PUBLISHERS = (
    "ghcr.io/devcontainers/features",
    "ghcr.io/devcontainers-extra/features",
    "ghcr.io/crewship-ai/features",
    "GHCR.io/DevContainers/Features",
)
HOOKS = ("onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand")
VARIABLES = (
    "${containerEnv:PATH}", "${containerEnv:X:y}", "${devcontainerId}", "${localEnv:HOME}",
    "${localEnv:X:default:more}", "${env:X}", "${unknown}", "${workspaceFolder}", "${", "$HOME",
    "${}", "${{x}}", "$(id -u)", "`id`", "%s {{ env.HOME }}",
)  # fmt: skip
PIECES = (
    "a", "B9", "größe", "🚢", "\u2028", "\ufeff", "e\u0301", "\u202e", "'", '"', "\\", "\\n", "\n",
    "\t", "\x01", "\x7f", "\x85", " ", "/", "*/", "//", "{", "]", ",", ":", "=", "#", "-", "~",
)  # fmt: skip
TOOLS = (
    "node", "python", "go", "npm:prettier", "npm:@antfu/ni", "pipx:black", "github:cli/cli",
    "ubi:BurntSushi/ripgrep[exe=rg]", "cargo:https://example.org/x", "asdf:a/b", "core_1.x",
)  # fmt: skip
VERSIONS = (
    "22", "22.11.0", "lts", "latest", "prefix:1.2", "ref:main", "", "temurin-21.0.2+13",
    "sub-1:lts", "path:/opt/x", "tag:v1",
)  # fmt: skip


def digest(rng: Random) -> str:
    return "sha256:" + "".join(rng.choices(HEX, k=64))


def text(rng: Random, most: int = 5) -> str:
    return "".join(rng.choices((*PIECES, *VARIABLES), k=rng.randint(0, most)))


def name(rng: Random) -> str:
    first = rng.choice("ABCXYZabc_")
    return first + "".join(rng.choices("ABCabc0189_", k=rng.randint(0, 12)))


def value(rng: Random, depth: int = 0) -> Json:
    """Any JSON value at all."""
    if depth < 4 and rng.random() < 0.4:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return {text(rng): value(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    return rng.choice((None, True, False, 0, -7, 10**18, 1.5, 1e300, text(rng)))


def image(rng: Random) -> str:
    host = rng.choice(
        ("", "docker.io/library/", "ghcr.io/acme/", "mcr.microsoft.com/x/", "quay.io/a/b/")
    )
    path = rng.choice(("debian", "node", "a_b.c--d", "x" * 60))
    tag = rng.choice(
        ("", ":sid", ":1", ":A.b-c_" + "9" * 120, f"@{digest(rng)}", f":t@{digest(rng)}")
    )
    if rng.random() < 0.1:
        return f"${{localEnv:X:{path}}}:sid"
    return f"{host}{path}{tag}"


def ref(rng: Random) -> str:
    identity = rng.choice(("node", "python", "git-lfs", "a.b_c-d", "tools/lint"))
    return (
        f"{rng.choice(PUBLISHERS)}/{identity}{rng.choice(('', ':1', ':1.2.3', f'@{digest(rng)}'))}"
    )


def options(rng: Random) -> Json:
    some = {
        text(rng): rng.choice((True, False, 3, 1.5, text(rng))) for _ in range(rng.randint(0, 3))
    }
    return rng.choice((True, "", "3.9", text(rng), {}, some, some))


def features(rng: Random) -> Json:
    many = 50 if rng.random() < 0.02 else rng.randint(0, 4)
    return {f"{ref(rng)}" if n < 4 else f"{PUBLISHERS[0]}/f{n}": options(rng) for n in range(many)}


def override(rng: Random) -> Json:
    return [rng.choice((ref(rng), "registry.example:5443/a/b")) for _ in range(rng.randint(0, 3))]


def command(rng: Random) -> Json:
    array = [rng.choice(("true", "echo")), *(text(rng) for _ in range(rng.randint(0, 3)))]
    long = "x" * (4096 if rng.random() < 0.1 else 40)
    return rng.choice((text(rng), "", None, array, array, f"echo {text(rng)}", long))


def hook(rng: Random) -> Json:
    named = {text(rng): command(rng) for _ in range(rng.randint(0, 4))}
    return rng.choice((command(rng), command(rng), named))


def env(rng: Random) -> Json:
    many = 30 if rng.random() < 0.05 else rng.randint(0, 4)
    made = {name(rng): text(rng) for _ in range(many)}
    if rng.random() < 0.02:
        made["LONG"] = "x" * 8192
    if rng.random() < 0.3:
        made["PATH"] = rng.choice(("/opt/bin", "/opt/bin:${containerEnv:PATH}"))
    return made


def remote_env(rng: Random) -> Json:
    return {**env(rng), **({"GONE": None} if rng.random() < 0.3 else {})}


def mounts(rng: Random) -> Json:
    return [mount(rng, f"/data/{n}") for n in range(rng.randint(0, 3))]


def mount(rng: Random, target: str) -> Json:
    source = rng.choice(("cache", "${devcontainerId}-home", "a.b_c", "${localEnv:V:vol}"))
    if rng.random() < 0.5:
        return f"{rng.choice(('source', 'src'))}={source}, target={target},type=volume"
    made = {rng.choice(("target", "dst", "destination")): target, "source": source}
    return {**made, **rng.choice(({}, {"type": "volume"}, {"type": None}, {"readonly": True}))}


def mise(rng: Random) -> dict[str, dict[str, Json]]:
    many = 32 if rng.random() < 0.03 else rng.randint(0, 4)
    named = [rng.choice(TOOLS) if n < 4 else f"tool{n}" for n in range(many)]
    tools = {tool: versions(rng) for tool in named}
    values = {name(rng) + "1": rng.choice((text(rng), 7, -1)) for _ in range(rng.randint(0, 3))}
    parts = {"tools": tools, "env": values, "settings": {"x": True}}
    return {key: part for key, part in parts.items() if rng.random() < 0.7}


def versions(rng: Random) -> Json:
    some = [rng.choice(VERSIONS) for _ in range(rng.randint(1, 3))]
    return rng.choice((some[0], some[0], some, 22, [22, "20"], {"version": some[0]}))


PARTS: Mapping[str, Part] = {
    "image": image,
    "features": features,
    "overrideFeatureInstallOrder": override,
    **dict.fromkeys(HOOKS, hook),
    "containerEnv": env,
    "remoteEnv": remote_env,
    "remoteUser": lambda rng: rng.choice(("", "agent", "1001", "vscode", text(rng))),
    "containerUser": lambda rng: rng.choice(("", "agent", "1001", "root")),
    "mounts": mounts,
    "init": lambda rng: rng.random() < 0.5,
    "privileged": lambda rng: False,
    "capAdd": lambda rng: rng.choice(([], ["NET_BIND_SERVICE"], ["CAP_net_bind_service"] * 2)),
    "securityOpt": lambda rng: [],
    "mise": mise,
    "name": text,
    "customizations": value,
    "forwardPorts": value,
    "$schema": value,
}


def config(rng: Random) -> dict[str, Json]:
    """A legal devcontainer config, its keys in any order; null stands for absent."""
    keys = [key for key in PARTS if rng.random() < 0.25]
    rng.shuffle(keys)
    return {key: None if key != "mise" and rng.random() < 0.05 else PARTS[key](rng) for key in keys}


def lock(rng: Random, config: Mapping[str, Json]) -> dict[str, Json]:
    """A devcontainer-lock.json that fits the config; sometimes with an entry too many."""
    entries: dict[str, Json] = {}
    for written in {str(key).lower() for key in config.get("features") or {}}:
        if "@" not in written:
            entries[written] = lock_entry(rng, written)
    if rng.random() < 0.3:
        entries["ghcr.io/crewship-ai/features/unused:1"] = lock_entry(
            rng, "ghcr.io/crewship-ai/features/unused:1"
        )
    return {"features": entries}


def lock_entry(rng: Random, written: str) -> dict[str, Json]:
    resource = written.partition("@")[0]
    if resource.rfind(":") > resource.rfind("/"):
        resource = resource.rpartition(":")[0]
    held = digest(rng)
    return {
        "version": "1.2.3", "resolved": f"{resource}@{held}", "integrity": held,
        **({"dependsOn": ["ghcr.io/crewship-ai/features/unused:1"]} if rng.random() < 0.3 else {}),
    }  # fmt: skip
