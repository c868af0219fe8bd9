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
    CrewshipError,
    DiskFull,
    EngineError,
    EngineUnreachable,
)
from crewship.engine.base import ContainerSpec, ExecResult, OnOutput
from provisioning.faults import FaultPoint, fault_point
from provisioning.pipeline.clean_up import clean_up
from provisioning.pipeline.context import (
    AGENT_UID,
    BUILD_DIR,
    CA_FILE,
    CONTAINER_PREFIX,
    FEATURE_DIR,
    BuildOptions,
    Context,
    Tools,
)
from provisioning.pipeline.diagnose import OUT_OF_MEMORY, diagnose, may_be_memory
from provisioning.pipeline.host_room import DiskTaken, Guard, guarded
from provisioning.pipeline.output import LineSplitter

Env = Sequence[tuple[str, str]]
MEMORY_SHARE = 0.8  # of the host's, for a build's container where nothing else is set
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
    guard: Guard

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
        self._judge(what, result, splitter.tail(), splitter.evidence())

    def capture(self, what: str, argv: Sequence[str], *, user: str = "root", env: Env = ()) -> str:
        """What the process printed on stdout; it stays out of the log. Raises like ``run``, and
        OutputTooLong, with the container killed."""
        printed, errors = Capture(what), Capture(what)
        try:
            result = self._exec(what, argv, user, env, "/", printed.take, errors.take)
        except OutputTooLong:
            self.tools.engine.kill_container(self.name)
            raise
        tail = f"{printed.text()}{errors.text()}"[-1000:]
        self._judge(what, result, tail, tail)
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
            self.guard.check()
            if self.tools.engine.ran_out_of_memory(self.name):
                found = OUT_OF_MEMORY
                raise BuildStepFailed(
                    f"{what} used more memory than the build has.", code=found.code, hint=found.hint
                ) from err
            raise ContainerGone(f"The build's container was stopped during: {what}") from err

    def _judge(self, what: str, result: ExecResult, tail: str, evidence: str) -> None:
        """``tail`` is shown, ``evidence`` looked at for what it means."""
        if result.cancelled:
            raise BuildCancelled("The build was stopped.")
        self.guard.check()
        said = f"\n{tail}" if tail else " (it printed nothing)"
        if result.timed_out:
            limit = "printed nothing for" if result.timed_out == "idle" else "ran longer than"
            options = self.tools.options
            seconds = (
                options.idle_timeout_s if result.timed_out == "idle" else options.step_timeout_s
            )
            raise BuildTimeout(f"{what} {limit} {seconds:g} s; last lines:{said}")
        if result.exit_code != 0:
            raise self._failure(what, result.exit_code, said, evidence)

    def _failure(self, what: str, exit_code: int, said: str, evidence: str) -> BuildStepFailed:
        memory = may_be_memory(exit_code, evidence)
        memory = memory and self.tools.engine.ran_out_of_memory(self.name)
        found = diagnose(exit_code, evidence, out_of_memory=memory)
        extra = {
            "exit_code": exit_code,
            **({"source": found.source} if found and found.source else {}),
        }
        return BuildStepFailed(
            f"{what} failed with exit code {exit_code}:{said}",
            code=found.code if found else None,
            hint=found.hint if found else "The job's log has everything it printed.",
            extra=extra,
        )


@contextmanager
def scratch_container(context: Context, tools: Tools, image: str, suffix: str) -> Iterator[Scratch]:
    """A running container from ``image`` with BUILD_DIR in it; removed whatever happens, by the
    sweep if the engine refuses now."""
    request, options = context.request, tools.options
    job = request.job_id.removeprefix("job_").lower()
    name = f"{CONTAINER_PREFIX}{job}-{request.fence}-{suffix}"
    spec = ContainerSpec(
        name=name,
        image=image,
        network=options.network,
        memory_bytes=_memory_bytes(context, options),
        nano_cpus=options.nano_cpus,
        pids_limit=options.pids_limit,
    )
    tools.ledger.note_scratch(name)
    try:
        try:
            fault_point(FaultPoint.BEFORE_CONTAINER_CREATE)
            tools.engine.create_container(spec)
            fault_point(FaultPoint.AFTER_CONTAINER_CREATE)
            tools.engine.start_container(name)
            tools.engine.put_archive(name, "/", _build_dir(options))
        except DiskFull as err:  # by others: this container has nothing yet
            raise DiskTaken(err.message) from err
        with guarded(context, tools, lambda: tools.engine.kill_container(name), name) as guard:
            yield Scratch(name, tools, guard)
    finally:
        with clean_up(name):
            tools.engine.remove_container(name)
            tools.ledger.forget_scratch(name)


@contextmanager
def others_blamed(scratch: Scratch) -> Iterator[None]:
    """What fails in the block for want of disk leaves it as DiskTaken where another build on the
    host filled it."""
    try:
        yield
    except CrewshipError as err:
        if err.error_code != DiskFull.code or not _others_filled_disk(scratch):
            raise
        raise DiskTaken(err.message, hint=err.error_hint, extra=err.extra) from err


def _others_filled_disk(scratch: Scratch) -> bool:
    try:
        return scratch.guard.others_filled_disk()
    except EngineError:  # then nothing is tried again
        return False


def _memory_bytes(context: Context, options: BuildOptions) -> int | None:
    if options.memory_bytes is not None:
        return options.memory_bytes or None
    return int(context.known_host.memory_bytes * MEMORY_SHARE) or None


def _build_dir(options: BuildOptions) -> bytes:
    directories = [BUILD_DIR.lstrip("/"), FEATURE_DIR.lstrip("/")]
    files = {f"{directories[0]}/apt.conf": APT_CONF.encode()}
    if options.ca_bundle:
        files[CA_FILE.lstrip("/")] = options.ca_bundle
    return tar_of(files, directories=directories)


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
