"""Tiny features for tests, packed into an OCI layout under our own publisher's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from catalogs.pack import pack_features
from tests.stack.hostile import HOSTILE

NAMESPACE = "ghcr.io/crewship-ai/features"

# Output that wants to be more than text: markup, links, the clipboard, a line and a frame of ours.
IMPOSTER = r"""
echo '<script>document.title = "owned"</script><img src=x onerror=alert(1)>'
printf '\033]8;;https://evil.example\033\\click me\033]8;;\033\\\n'
printf '\033]52;c;ZXZpbA==\007clipboard\n'
printf '10%%\r55%%\r100%% loaded\n'
printf 'abc\342\200\256cba\n'
echo 'Feature everything installed'
echo 'crewship The image is ready'
printf 'event: end\ndata: {"status": "completed"}\n\nid: 1\n\n'
printf '\033[1;31mred\033[0m and plain\n'
head -c 1000000 /dev/zero | tr '\0' x; echo
echo 'the imposter ends'
"""
_STRING = {"type": "string", "default": ""}

# id -> (metadata beyond id, version and name; install.sh)
FEATURES: dict[str, tuple[dict[str, Any], str]] = {
    "note": (
        {"options": {"text": _STRING}},
        'mkdir -p /usr/local/share/notes; printf %s "$TEXT" > /usr/local/share/notes/note\n'
        "echo noted; env | sort > /usr/local/share/notes/env\n",
    ),
    "tool": (
        {"options": {"word": {"type": "string", "default": "hello"}}},
        'printf "#!/bin/sh\\necho %s\\n" "$WORD" > /usr/local/bin/crew-tool\n'
        "chmod 755 /usr/local/bin/crew-tool\n",
    ),
    "slow": (
        {"options": {"count": {"type": "string", "default": "30"}}},
        'i=0; while [ "$i" -lt "$COUNT" ]; do i=$((i + 1)); echo "second $i"; sleep 1; done\n',
    ),
    "fail": (
        {"options": {"code": {"type": "string", "default": "3"}}},
        'echo "before the end"; echo "the last words" >&2; exit "$CODE"\n',
    ),
    "hostile-env": (
        {"containerEnv": {f"FEATURE_{n}": v for n, v in enumerate(HOSTILE)}},
        "env -0 > /seen\n",
    ),
    "after-hostile": ({"installsAfter": [f"{NAMESPACE}/hostile-env"]}, "env -0 > /seen-after\n"),
    "preload": (
        {"containerEnv": {"LD_PRELOAD": "/nowhere.so", "BASH_ENV": "/nowhere", "OWN": "acts"}},
        'echo "own is $OWN"\n',
    ),
    "runtime": (
        {
            "entrypoint": "/usr/local/share/runtime-entrypoint.sh",
            "postStartCommand": 'echo "feature\'s hook"',
            "mounts": [{"source": "runtime", "target": "/var/lib/runtime", "type": "volume"}],
        },
        "mkdir -p /var/lib/runtime; echo from the image > /var/lib/runtime/seed\n"
        'printf "#!/bin/sh\necho entrypoint as \\$(id -u)\nexec \\"\\$@\\"\n"'
        " > /usr/local/share/runtime-entrypoint.sh\n"
        "chmod 755 /usr/local/share/runtime-entrypoint.sh\n",
    ),
    "counting": (  # 2000 numbered lines in some ten seconds
        {},
        'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo "number $i.";\n'
        "  if [ $((i % 20)) = 0 ]; then sleep 0.1; fi; done\n",
    ),
    "imposter": ({}, IMPOSTER),
    "chatty": ({}, 'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo "line $i"; done\n'),
}


def pack_test_features(folder: Path) -> Path:
    """The layout directory with all of FEATURES, each at version 1.0.0."""
    source, layout = folder / "source", folder / "layout"
    for name, (extra, script) in FEATURES.items():
        place = source / name
        place.mkdir(parents=True)
        metadata = {"id": name, "version": "1.0.0", "name": name.title(), **extra}
        (place / "devcontainer-feature.json").write_text(json.dumps(metadata))
        (place / "install.sh").write_text("#!/bin/sh\nset -eu\n" + script)
    pack_features(source, layout, NAMESPACE)
    return layout


def ref(name: str) -> str:
    return f"{NAMESPACE}/{name}:1"
