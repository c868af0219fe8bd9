"""Step 5: lifecycle commands as the agent, then the commit that gives the image its config."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from crewship.devcontainer.label import LABEL, write_label
from crewship.devcontainer.plan import hook_runs, image_env
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import Hook, HookCommand, LayerKind
from crewship.domain.errors import BuildStepFailed
from crewship.engine.base import ImageConfig
from provisioning.pipeline.context import AGENT_UID, AGENT_USER, Context, Tools
from provisioning.pipeline.layers import Made, commit_layer
from provisioning.pipeline.probe import UserConflict
from provisioning.pipeline.scratch import Env, Scratch, step_env, tar_of

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Both ways: the uid must be the agent's, and the name must not have become somebody else's too.
VERIFY_SCRIPT = f"(id -u; id -un; id -u {AGENT_USER}) 2>&1; true"
HASH_LABEL = "dev.crewship.config-hash"


class HookFailed(BuildStepFailed):
    code = "hook_failed"


def snapshot(context: Context, tools: Tools) -> Context:
    """The final image is committed under a name of ours; it is not the crew's yet.

    It is always made anew: what hooks do cannot be known from their text alone.
    """
    layer = next(x for x in context.known_plan.layers if x.kind == LayerKind.FINAL)
    env = final_env(context)

    def work(scratch: Scratch) -> Made:
        scratch.put("/", _profile_tar(scratch, env))
        for owner, hook in hook_runs(context.known_plan):
            title = f"{hook.name} of {owner}" if owner else str(hook.name)
            tools.emit.message(f"running {title}")
            _run_hook(scratch, title, hook, [*step_env(tools), *env], _workdir(context))
        _verify(scratch)
        return Made(_image_config(context, env, tools.options.policy))

    draft, image, _ = commit_layer(context, tools, layer, work)
    return replace(context, image=image, draft=draft)


def final_env(context: Context) -> tuple[tuple[str, str], ...]:
    """The image's ENV: base, features, mise and mise's env, then the config's own."""
    mise = [(k, v) for k, v in context.mise_facts.get("env", [])]
    return image_env(
        context.known_plan,
        context.known_base.config.env,
        mise,
        context.request.devcontainer_id,
    )


def _workdir(context: Context) -> str:
    return context.known_base.config.working_dir or context.home


def _run_hook(scratch: Scratch, title: str, hook: Hook, env: Env, workdir: str) -> None:
    """Every entry of the hook ended with 0; entries of the object form run side by side.

    All are awaited; the first failure in the order of the text is raised.
    """

    def run(entry: HookCommand) -> None:
        what = f"{title} ({entry.name})" if entry.name else title
        prefix = f"[{entry.name}] " if entry.name else ""
        try:
            scratch.run(
                what, entry.process(), user=AGENT_UID, env=env, workdir=workdir, prefix=prefix
            )
        except BuildStepFailed as err:
            about = {"hook": title, **err.extra}
            known = None if err.error_code == BuildStepFailed.code else err.error_code
            raise HookFailed(err.message, code=known, hint=err.error_hint, extra=about) from err

    entries = hook.entries
    if len(entries) == 1:
        run(entries[0])
        return
    with ThreadPoolExecutor(len(entries), thread_name_prefix="hook") as pool:
        outcomes = [pool.submit(run, entry) for entry in entries]
    for outcome in outcomes:
        outcome.result()


def _profile_tar(scratch: Scratch, env: Env) -> bytes:
    """/etc/profile resets PATH in login shells; this puts the image's directories back in front.

    Literal in single quotes: a directory's name is never evaluated.
    """
    scratch.capture("Preparing", ["/bin/sh", "-c", "mkdir -p /etc/profile.d"])
    path = dict(env).get("PATH", DEFAULT_PATH)
    own = [d for d in path.split(":") if d and d not in DEFAULT_PATH.split(":")]
    lines = ["# Written by Crewship: the directories of the image's PATH, in its order."]
    for directory in reversed(own):
        quoted = "'" + directory.replace("'", "'\\''") + "'"
        lines.append(f'case ":$PATH:" in *:{quoted}:*) ;; *) PATH={quoted}:"$PATH" ;; esac')
    lines += ["export PATH", ""]
    return tar_of({"etc/profile.d/crewship.sh": "\n".join(lines).encode()})


def _verify(scratch: Scratch) -> None:
    """Raises UserConflict when features or hooks took the agent's name or uid away."""
    said = scratch.capture(
        "Checking the agent user", ["/bin/sh", "-c", VERIFY_SCRIPT], user=AGENT_UID
    )
    if said.split() != [AGENT_UID, AGENT_USER, AGENT_UID]:
        raise UserConflict(
            f"After the build the uid {AGENT_UID} is not the user agent any more ({said.strip()}).",
            hint="A feature or lifecycle command changed /etc/passwd; leave out that feature.",
        )


def _image_config(context: Context, env: Env, policy: Policy) -> ImageConfig:
    base = context.known_base.config
    metadata = write_label(context.known_plan, policy)
    return replace(
        base,
        env=tuple(env),
        cmd=base.cmd or (None if base.entrypoint else ("/bin/sh",)),
        user=AGENT_UID,
        labels={**base.labels, LABEL: metadata, HASH_LABEL: context.request.config_hash},
    )
