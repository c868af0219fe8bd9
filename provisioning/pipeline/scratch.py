"""One scratch container: made from a layer, worked in, committed, and gone on every path."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from crewship.domain.errors import (
    BuildCancelled,
    BuildStepFailed,
    BuildTimeout,
    ContainerGone,
    EngineUnreachable,
)
from crewship.engine.base import ContainerSpec, ExecResult, OnOutput
from provisioning.faults import FaultPoint, fault_point
from provisioning.pipeline.clean_up import clean_up
from provisioning.pipeline.context import (
    AGENT_UID,
    BUILD_DIR,
    CA_FILE,
    FEATURE_DIR,
    Context,
    Tools,
)
from provisioning.pipeline.diagnose import diagnose
from provisioning.pipeline.output import LineSplitter

Env = Sequence[tuple[str, str]]
MAX_CAPTURE = 1 << 20  # characters of what a program answers; an image may hold any program

# Non-interactive and quick; read by APT_CONFIG before the image's own apt.conf.d, see ENGINE facts.
APT_CONF = """\
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Dpkg::Options { "--force-unsafe-io"; "--force-confdef"; "--force-confold"; };
"""

# Where curl, openssl, git, node, pip, requests and cargo look for authorities to trust.
CA_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
)


def tar_of(
    files: dict[str, bytes], *, mode: int = 0o644, uid: int = 0, directories: Sequence[str] = ()
) -> bytes:
    """A tar with these files and directories, root's unless ``uid`` says otherwise."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in directories:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, 0o755, uid, uid
            tar.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), mode, uid, uid
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class OutputTooLong(BuildStepFailed):
    """A program whose answer the build reads printed without end."""

    code = "output_too_long"
    hint = "A program of the image prints what it should not: choose another base image."


class Capture:
    """Collects one stream of a process as long as it is no longer than MAX_CAPTURE."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._parts: list[str] = []
        self._length = 0

    def take(self, text: str) -> None:
        """Raises OutputTooLong."""
        self._length += len(text)
        if self._length > MAX_CAPTURE:
            raise OutputTooLong(f"{self._what} was stopped: it printed more than 1 MiB.")
        self._parts.append(text)

    def text(self) -> str:
        return "".join(self._parts)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A running scratch container and the ways to work in it."""

    name: str
    tools: Tools

    def run(
        self,
        what: str,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Env = (),
        workdir: str = "/",
        prefix: str = "",
    ) -> None:
        """The process ended with 0 and its output is in the job's log.

        Raises BuildStepFailed (naming ``what``, the exit code and the last lines), BuildTimeout,
        or BuildCancelled.
        """
        splitter = LineSplitter(self.tools.emit.output, prefix)
        result = self._exec(what, argv, user, env, workdir, splitter.feed)
        splitter.close()
        self._judge(what, result, splitter.tail())

    def capture(self, what: str, argv: Sequence[str], *, user: str = "root", env: Env = ()) -> str:
        """What the process printed on stdout; it stays out of the log. Raises like ``run``, and
        OutputTooLong, with the container killed."""
        printed, errors = Capture(what), Capture(what)
        try:
            result = self._exec(what, argv, user, env, "/", printed.take, errors.take)
        except OutputTooLong:
            self.tools.engine.kill_container(self.name)
            raise
        self._judge(what, result, f"{printed.text()}{errors.text()}"[-1000:])
        return printed.text()

    def put(self, path: str, tar: bytes) -> None:
        self.tools.engine.put_archive(self.name, path, tar)

    def sweep(self) -> None:
        """Nothing of ours is left in the container's files."""
        self.capture("clean-up", ["/bin/sh", "-c", f"rm -rf {BUILD_DIR}"])

    def _exec(
        self,
        what: str,
        argv: Sequence[str],
        user: str,
        env: Env,
        workdir: str,
        on_output: OnOutput,
        on_stderr: OnOutput | None = None,
    ) -> ExecResult:
        options = self.tools.options
        try:
            return self.tools.engine.exec(
                self.name,
                argv,
                user=user,
                env=env,
                workdir=workdir,
                on_output=on_output,
                on_stderr=on_stderr,
                cancel=self.tools.cancel,
                idle_timeout_s=options.idle_timeout_s,
                timeout_s=options.step_timeout_s,
            )
        except EngineUnreachable as err:  # people are told what they wrote, not which call it was
            raise EngineUnreachable(f"The Docker engine went away during: {what}") from err
        except ContainerGone as err:
            raise ContainerGone(f"The build's container was stopped during: {what}") from err

    def _judge(self, what: str, result: ExecResult, tail: str) -> None:
        if result.cancelled:
            raise BuildCancelled("The build was stopped.")
        said = f"\n{tail}" if tail else " (it printed nothing)"
        if result.timed_out:
            limit = "printed nothing for" if result.timed_out == "idle" else "ran longer than"
            options = self.tools.options
            seconds = (
                options.idle_timeout_s if result.timed_out == "idle" else options.step_timeout_s
            )
            raise BuildTimeout(f"{what} {limit} {seconds:g} s; last lines:{said}")
        if result.exit_code != 0:
            found = diagnose(result.exit_code, tail)
            raise BuildStepFailed(
                f"{what} failed with exit code {result.exit_code}:{said}",
                code=found.code if found else None,
                hint=found.hint if found else "The job's log has everything it printed.",
                extra={"exit_code": result.exit_code},
            )


@contextmanager
def scratch_container(context: Context, tools: Tools, image: str, suffix: str) -> Iterator[Scratch]:
    """A running container from ``image`` with BUILD_DIR in it; removed whatever happens, by the
    sweep if the engine refuses now."""
    request, options = context.request, tools.options
    name = f"crewship-build-{request.job_id.removeprefix('job_').lower()}-{request.fence}-{suffix}"
    spec = ContainerSpec(
        name=name,
        image=image,
        network=options.network,
        memory_bytes=options.memory_bytes,
        pids_limit=options.pids_limit,
    )
    tools.ledger.note_scratch(name)
    try:
        fault_point(FaultPoint.BEFORE_CONTAINER_CREATE)
        tools.engine.create_container(spec)
        fault_point(FaultPoint.AFTER_CONTAINER_CREATE)
        tools.engine.start_container(name)
        directories = [BUILD_DIR.lstrip("/"), FEATURE_DIR.lstrip("/")]
        files = {f"{directories[0]}/apt.conf": APT_CONF.encode()}
        if options.ca_bundle:
            files[CA_FILE.lstrip("/")] = options.ca_bundle
        tools.engine.put_archive(name, "/", tar_of(files, directories=directories))
        yield Scratch(name, tools)
    finally:
        with clean_up(name):
            tools.engine.remove_container(name)
            tools.ledger.forget_scratch(name)


def step_env(tools: Tools) -> tuple[tuple[str, str], ...]:
    """What every step with network sees; given per exec, so it never enters an image."""
    if not tools.options.ca_bundle:
        return ()
    return tuple((name, CA_FILE) for name in CA_VARIABLES)


def root_step_env(tools: Tools) -> tuple[tuple[str, str], ...]:
    """What install scripts of features see beside their own."""
    return (
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("APT_CONFIG", f"{BUILD_DIR}/apt.conf"),
        *step_env(tools),
    )


def agent_owned(directories: Sequence[str], files: dict[str, bytes] | None = None) -> bytes:
    """A tar whose members belong to the agent user."""
    return tar_of(files or {}, uid=int(AGENT_UID), directories=directories)
