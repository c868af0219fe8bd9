"""``crewship demo``: everything started, a real crew provisioned, and the image shown at work.

It uses the product as anybody would: ``crewship start``, ``manage.py bootstrap``, the API.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from catalogs.bundled import FEATURES, NAMESPACE
from catalogs.pack import pack_features
from crewship.cli.node_mirror import bridge_address, ensure_mirror, serve_in_background

PROJECT = Path(__file__).resolve().parent.parent.parent
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
READY_WITHIN_S = 60
POLL_S = 0.5

DEVCONTAINER = """\
{
  // What a crew's owner writes; comments and trailing commas are fine.
  "image": "debian:bookworm-slim",
  "features": {
    "ghcr.io/crewship-ai/features/base-tools:1": {},
    "ghcr.io/crewship-ai/features/db-clients:1": {"sqlite": true},
  },
  "containerEnv": {"CREW": "demo"},
  "postCreateCommand": "git config --global init.defaultBranch main",
}
"""
MISE = '{"tools": {"node": "22", "npm:prettier": "3"}}'
PROOF = "id -un; id -u; git --version; node --version; prettier --version"

console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when the crew is provisioned.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build afresh.")] = False,
) -> None:
    """Provision a crew on a server of its own, as a show.

    Starts everything, provisions a crew, shows its image, and goes on serving.
    """
    # Imported late: the secret key is made when the settings are first imported.
    from crewship.settings.options import read_options

    options = read_options(PROJECT)
    bind = f"127.0.0.1:{_free_port(8000)}"
    environment = {**os.environ, **_build_environment(options.data_dir)}
    environment["CREWSHIP_DATA_DIR"] = str(options.data_dir)
    with _server(bind, environment) as server:
        _wait_until_ready(bind, server)
        made = _bootstrap(environment)
        tag = _provision(bind, made, rebuild)
        if tag is None:
            raise typer.Exit(1)
        _show_image(tag)
        if once:
            return
        console.print(f"\n[bold]Open[/]      http://{bind}/")
        console.print(f"[bold]Email[/]     {made['email']}")
        password = made["password"] or "(as printed when this data directory was made)"
        console.print(f"[bold]Password[/]  {password}", markup=True)
        console.print("\nCtrl-C stops it.")
        server.wait()


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise typer.Exit(2)


def _build_environment(data_dir: Path) -> dict[str, str]:
    """Settings that let the demo build anywhere: bundled features, and a node mirror of our own
    where nodejs.org can't be reached."""
    from crewship.settings import env

    layout = data_dir / "bundled-features"
    pack_features(FEATURES, layout, NAMESPACE)
    out = {"CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}"}
    if SYSTEM_CA.exists() and not env.text("CREWSHIP_CA_BUNDLE"):
        out["CREWSHIP_CA_BUNDLE"] = str(SYSTEM_CA)  # builds trust what this machine trusts
    if not env.text("CREWSHIP_MISE_ENV") and not _reachable("https://nodejs.org/dist/index.json"):
        console.print("nodejs.org can't be reached: node comes from a local mirror")
        url = serve_in_background(
            ensure_mirror(data_dir / "node-mirror"),
            bridge_address(env.text("CREWSHIP_BUILD_NETWORK", "bridge")),
        )
        out["CREWSHIP_MISE_ENV"] = f"MISE_NODE_MIRROR_URL={url},MISE_NPM_PACKAGE_MANAGER=npm"
    return out


def _reachable(url: str) -> bool:
    try:
        return httpx.head(url, timeout=5, follow_redirects=True).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _server(bind: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = Path(environment["CREWSHIP_DATA_DIR"]) / "logs" / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    crewship = str(Path(sys.executable).with_name("crewship"))
    with log.open("wb") as output:
        server = subprocess.Popen(
            [crewship, "start", "--bind", bind],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield server
        except KeyboardInterrupt:
            console.print("\nstopping")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def _wait_until_ready(bind: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://{bind}/readyz", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    console.print("[red]crewship start did not come up; see logs/demo.log in the data directory[/]")
    raise typer.Exit(1)


def _bootstrap(environment: dict[str, str]) -> dict[str, Any]:
    said = subprocess.run(
        [
            *(sys.executable, str(PROJECT / "manage.py"), "bootstrap", "--json"),
            *("--workspace", "demo", "--email", "demo@example.com"),
        ],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout
    made: dict[str, Any] = json.loads(said)
    return made


def _provision(bind: str, made: dict[str, Any], rebuild: bool) -> str | None:
    """The tag of the crew's image, or None (said why) when the job failed."""
    headers = {"Authorization": f"Bearer {made['token']}"}
    with httpx.Client(base_url=f"http://{bind}/api/v1", headers=headers, timeout=30) as api:
        crew = _crew(api)
        verb = "rebuild" if rebuild else "provision"
        _post_when_host_is_up(api, f"/crews/{crew['id']}/{verb}")
        status = _follow(api, crew["id"])
    if status["status"] == "completed":
        console.print(f"\n[green]✓ completed[/]  image [bold]{status['cached_image']}[/]")
        return str(status["cached_image"])
    console.print(f"\n[red]✗ {status['status']}[/]  {status.get('error', '')}", markup=True)
    return None


def _crew(api: httpx.Client) -> dict[str, Any]:
    found = [c for c in api.get("/crews").json()["results"] if c["slug"] == "demo-crew"]
    if found:
        return dict(found[0])
    body = {
        "name": "Demo crew",
        "slug": "demo-crew",
        "devcontainer_config": DEVCONTAINER,
        "mise_config": MISE,
    }
    answer = api.post("/crews", json=body)
    answer.raise_for_status()
    return dict(answer.json())


def _post_when_host_is_up(api: httpx.Client, route: str) -> None:
    """A host's first heartbeat comes a moment after the server is ready."""
    for _ in range(50):
        answer = api.post(route)
        if answer.status_code != 503:
            break
        time.sleep(0.2)
    if answer.status_code not in (202, 409):
        console.print(f"[red]{answer.json()['detail']}[/] {answer.json().get('hint', '')}")
        raise typer.Exit(1)


def _follow(api: httpx.Client, crew_id: str) -> dict[str, Any]:
    """Prints steps and log lines as they come; returns the last status."""
    shown_step, shown_lines = "", 0
    while True:
        status = dict(api.get(f"/crews/{crew_id}/provision").json())
        line = f"[{status.get('step', 0)}/{status.get('total', 6)}] {status.get('message', '')}"
        if line != shown_step and status.get("step"):
            shown_step = line
            console.print(line, style="bold", markup=False)
        job = api.get(f"/crews/{crew_id}/jobs").json()["results"][0]
        lines = api.get(f"/jobs/{job['id']}/log").text.split("\n")[:-1]
        for text in lines[shown_lines:]:
            console.print(f"  {text}", markup=False, style="dim" if text[:2] == "| " else "")
        shown_lines = len(lines)
        if status["status"] not in ("pending", "running"):
            return status
        time.sleep(POLL_S)


def _show_image(tag: str) -> None:
    for argv in (["node", "--version"], ["sh", "-c", PROOF], ["bash", "-lc", PROOF]):
        said = subprocess.run(
            ["docker", "run", "--rm", tag, *argv], check=True, capture_output=True, text=True
        ).stdout
        command = " ".join(argv[:2]) + (" …" if len(argv) > 2 else "")
        console.print(f"[bold]docker run {tag} {command}[/]")
        console.print("  " + " · ".join(said.split("\n")).rstrip(" ·"), markup=False)
