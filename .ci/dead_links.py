"""Fails when a Markdown file of this repository links to a file or heading that is not there.

The site's own build checks links between pages of docs/; this looks at README and its like too, and
at pictures. Addresses on the web are not asked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(file: Path) -> set[str]:
    """As GitHub makes them: lower case, no punctuation, blanks as hyphens."""
    texts = HEADING.findall(file.read_text())
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def dead(file: Path) -> list[str]:
    found = []
    for target in LINK.findall(CODE.sub("", file.read_text())):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = file.parent / path if path else file
        if not place.exists():
            found.append(f"{file}: {target}: no such file")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            found.append(f"{file}: {target}: no such heading")
    return found


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.md"], capture_output=True, text=True, check=True)
    found = [line for name in listed.stdout.split() for line in dead(Path(name))]
    print("\n".join(found))  # noqa: T201  # what the check says
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
