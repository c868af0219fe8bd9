"""``crewship start``: the whole product on one machine, under one supervisor."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crewship.cli import embedded_redis
from crewship.cli.supervisor.lock import locked
from crewship.cli.supervisor.log_file import LogBounds
from crewship.cli.supervisor.services import Bind, Services, serve
from crewship.cli.supervisor.supervisor import Supervisor
from crewship.domain.data_dir import check_room, disk_full, says_disk_full
from crewship.domain.errors import StartFailed

if TYPE_CHECKING:
    from crewship.settings.options import ProcessLogOptions

WEB_ADDRESS = "web-address"  # in the data directory, for doctor


def start(
    bind: Annotated[str, typer.Option(help="Address and port to listen on.")] = "127.0.0.1:8000",
    data_dir: Annotated[
        Path | None,
        typer.Option(envvar="CREWSHIP_DATA_DIR", help="Database, logs, Redis data, secret key."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs that can run at once.")] = 2,
) -> None:
    """Run the whole product on this machine.

    Web, workers, engine watcher, scheduler and, unless CREWSHIP_REDIS_URL is set, a Redis. Ends
    on SIGTERM or Ctrl-C with nothing left running; running jobs go back to pending.
    """
    try:
        address = Bind.parse(bind)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--bind") from err
    _run(address, data_dir, workers)


def _run(bind: Bind, data_dir: Path | None, workers: int) -> None:
    if data_dir is not None:
        os.environ["CREWSHIP_DATA_DIR"] = str(data_dir.expanduser().resolve())
    # Imported late: the settings are read, and the secret key made, when this is first imported.
    from crewship.settings import BASE_DIR
    from crewship.settings.options import read_options

    options = read_options(BASE_DIR)
    os.umask(0o077)  # database, logs and queue hold what is nobody else's business
    with locked(options.data_dir):
        check_room(options.data_dir)
        redis = None
        if options.redis_is_embedded:
            redis = embedded_redis.prepare(options.data_dir, options.runtime_dir)
        services = Services(
            bind=bind,
            workers=workers,
            data_dir=options.data_dir,
            redis=redis,
            redis_url=redis.url if redis else options.redis_url,
            environ=os.environ,
        )
        supervisor = Supervisor(services.log_dir, log_bounds=_log_bounds(options.process_logs))
        try:
            with supervisor.signals():
                serve(services, supervisor, partial(_say_ready, options.data_dir))
        except StartFailed as err:
            # One sentence instead of the last lines of a program that met the full disk.
            check_room(options.data_dir)
            if says_disk_full(err.message):
                raise disk_full(options.data_dir) from err
            raise


def _log_bounds(options: ProcessLogOptions) -> LogBounds:
    return LogBounds(file_bytes=options.file_mb * 1_000_000, files=options.files)


def read_web_address(data_dir: Path) -> str | None:
    """Where the last start's web process listens (``http://127.0.0.1:8000``); None: not known."""
    try:
        return (data_dir / WEB_ADDRESS).read_text().strip() or None
    except OSError:
        return None


def _say_ready(data_dir: Path, url: str) -> None:
    with contextlib.suppress(OSError):  # a full disk is no reason not to serve
        (data_dir / WEB_ADDRESS).write_text(f"{url}\n")
    with contextlib.suppress(OSError):  # nobody reads it, or it goes to a file on a full disk
        sys.stdout.write(f"Crewship is ready on {url}\n")
        sys.stdout.flush()
