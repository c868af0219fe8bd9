"""Watching a build of a real server: exit codes, Ctrl-C, 409, a restart, --json."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.cli.server import Cli, only_json
from tests.stack.server import wait_until

pytestmark = pytest.mark.cli


def test_a_watched_build_is_told_to_its_end(cli: Cli) -> None:
    text = uuid.uuid4().hex  # and so no layer of another test
    slug = cli.crew({"note": {"text": text}}, postCreateCommand="echo created")
    done = cli.run("crew", "provision", slug)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for expected in (
        "● running   [3/6] installing devcontainer features (1 of 1: note)",
        "| noted",
    ):
        assert expected in lines
    assert "| created" in lines
    assert re.fullmatch(rf"✓ completed  {slug}  crewship-cache:[0-9a-f]{{12}}", lines[-1])
    assert sum(bool(re.match(r"✓ done +\[[1-6]/6\]", line)) for line in lines) == 6


def test_a_second_provision_finds_the_image(cli: Cli) -> None:
    slug = cli.crew({"note": {}})
    assert cli.run("crew", "provision", slug).returncode == 0
    again = cli.run("crew", "provision", slug)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1].endswith("(was there already)")


def test_a_failed_build_is_exit_code_1_with_its_last_words(cli: Cli) -> None:
    slug = cli.crew({"fail": {"code": "7"}})
    done = cli.run("crew", "provision", slug)
    assert done.returncode == 1
    assert f"✗ failed  {slug}" in done.stdout
    assert "the last words" in done.stderr
    assert f"crewship crew logs {slug}" in done.stderr
    assert cli.run("crew", "provision", "status", slug).returncode == 1


def test_what_is_refused_is_exit_code_2_in_two_lines(cli: Cli) -> None:
    slug = "crew-without-config"
    cli.api.crew(slug)
    done = cli.run("crew", "provision", slug)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) <= 2


def test_a_server_that_is_away_is_exit_code_2(cli: Cli) -> None:
    done = cli.run("crew", "list", CREWSHIP_URL="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not answer" in done.stderr


def test_ctrl_c_ends_the_watch_and_not_the_build(cli: Cli) -> None:
    slug = cli.crew({"slow": {"count": "4"}})
    watch = cli.start("crew", "provision", slug)
    watch.read_until("| second 1")
    watch.interrupt()
    code, _, err = watch.finish()
    assert code == 130
    assert err == f"The build goes on: crewship crew provision status {slug} --watch\n"
    assert cli.api.wait(cli.id_of(slug))["status"] == "completed"


def test_a_second_start_attaches_to_the_running_job(cli: Cli) -> None:
    slug = cli.crew({"slow": {"count": "15"}})
    cli.api.provision(cli.id_of(slug))
    cli.wait_for_line(slug, "| second 1")
    done = cli.run("crew", "provision", slug)
    assert done.returncode == 0
    assert done.stderr == f"A job of {slug} is running: watching it.\n"
    assert [line for line in done.stdout.splitlines() if line.startswith("| second")] == [
        f"| second {n}" for n in range(1, 16)
    ]
    assert len(cli.api.jobs(cli.id_of(slug))) == 1


def test_a_rebuild_does_not_pass_off_another_job_as_itself(cli: Cli) -> None:
    slug = cli.crew({"slow": {"count": "60"}})
    cli.run("crew", "provision", slug, "--no-watch")
    refused = cli.run("crew", "rebuild", slug)
    cli.run("crew", "cancel", slug)
    assert refused.returncode == 2
    assert "job" in refused.stderr


def test_a_cancelled_job_ends_its_watch(cli: Cli) -> None:
    slug = cli.crew({"slow": {"count": "60"}})
    watch = cli.start("crew", "provision", slug)
    watch.read_until("| second 1")
    assert cli.run("crew", "cancel", slug).returncode == 0
    code, out, _ = watch.finish()
    assert code == 1
    assert f"⊘ cancelled  {slug}" in out


def test_json_is_only_json(cli: Cli) -> None:
    slug = cli.crew({"note": {}})
    watched = cli.run("crew", "provision", slug, "--json")
    assert watched.stderr == ""
    final = only_json(watched.stdout)
    assert (final["status"], final["job"]["state"]) == ("completed", "completed")
    for command in (
        ("crew", "list"),
        ("crew", "show", slug),
        ("crew", "config", slug),
        ("crew", "logs", slug),
        ("crew", "provision", slug, "--no-watch"),
        ("crew", "provision", "status", slug),
        ("crew", "cancel", slug),
        ("features", "list"),
        ("features", "base-images"),
        ("runtimes", "list"),
        ("cache", "ls"),
        ("me",),
    ):
        done = cli.run(*command, "--json")
        assert (done.returncode, done.stderr) == (0, ""), command
        only_json(done.stdout)
    refused = cli.run("crew", "show", "nobody", "--json")
    assert (refused.returncode, refused.stderr) == (2, "")
    assert only_json(refused.stdout)["code"] == "crew_not_found"


def test_a_watch_survives_a_restart_of_the_server(cli: Cli) -> None:
    slug = cli.crew({"note": {}, "slow": {"count": "8"}})
    watch = cli.start("crew", "provision", slug)
    watch.read_until("| second 2")
    cli.stack.stop()
    cli.stack.start(workers=1)
    code, out, err = watch.finish()
    assert code == 0
    assert "waiting for the server…" in err
    assert out.splitlines()[-1].startswith(f"✓ completed  {slug}  crewship-cache:")
    told = [line for line in out.splitlines() if line.startswith("| ")]
    log = cli.run("crew", "logs", slug).stdout.splitlines()
    written = [line for line in log if line.startswith("| ")]
    before = written.index("| second 2") + 1
    assert told == written[before:]  # each line once, those after the restart among them


def test_doctor_finds_nothing_broken_beside_the_server(cli: Cli) -> None:
    cli.stack.data_dir.chmod(0o700)
    environment = {k: v for k, v in cli.stack.environment.items() if k.startswith("CREWSHIP_")}
    done = cli.run("doctor", "--json", **environment)
    assert done.returncode == 0, done.stdout
    results = {check["name"]: check["result"] for check in only_json(done.stdout)["checks"]}
    for name in ("engine", "engine clock", "redis", "data directory", "secret key", "server"):
        assert results[name] == "ok", name


def test_doctor_is_exit_code_1_when_the_engine_is_away(cli: Cli) -> None:
    environment = {k: v for k, v in cli.stack.environment.items() if k.startswith("CREWSHIP_")}
    done = cli.run("doctor", **environment, DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 1
    assert "✗ broken  engine" in done.stdout


def test_gc_runs_beside_the_server(cli: Cli) -> None:
    environment = {k: v for k, v in cli.stack.environment.items() if k.startswith("CREWSHIP_")}
    done = cli.run("cache", "gc", "--dry-run", "--json", **environment)
    assert done.returncode == 0, done.stderr
    assert only_json(done.stdout)["removed"] is False
    wait_until(lambda: cli.api.images() is not None, 5, "the server is as before")
