"""What the pipeline may rely on, against the fake and the real engine alike."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from crewship.domain.errors import (
    BuildCancelled,
    Conflict,
    ContainerGone,
    EngineError,
    ImageInUse,
    ImageNotFound,
    ShellMissing,
)
from crewship.engine.base import ContainerSpec, Engine, ImageConfig
from tests.engine import tiny_shell
from tests.engine.bench import Bench, tar_of
from tests.engine.real import BASE_IMAGE

FULL_CONFIG = ImageConfig(
    env=(("PATH", "/usr/bin:/bin"), ("ODD", 'a "quoted" $HOME\nline ☃')),
    cmd=("sleep", "1"),
    entrypoint=("/usr/bin/env", "--"),
    working_dir="/srv",
    user="1001:1001",
    labels={"crewship.note": 'it\'s "odd" $X\n🚢'},
)


class TestImages:
    def test_info_names_a_linux_platform(self, any_engine: Engine) -> None:
        assert any_engine.info().platform.startswith("linux/")

    def test_without_force_a_last_name_that_a_container_uses_stays(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "used")
        bench.engine.create_container(
            ContainerSpec(name=f"{bench.prefix}-stopped", image=bench.tag("used"))
        )
        try:
            bench.engine.tag(image_id, bench.tag("other"))
            assert bench.engine.remove_image(bench.tag("other"), force=False)
            with pytest.raises(ImageInUse):
                bench.engine.remove_image(bench.tag("used"), force=False)
            assert bench.engine.image(bench.tag("used")) is not None
        finally:
            bench.engine.remove_container(f"{bench.prefix}-stopped")
        assert bench.engine.remove_image(bench.tag("used"), force=False)
        assert bench.engine.image(image_id) is None

    def test_a_committed_image_knows_what_it_stands_on(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "child")
        found, base = bench.engine.image(image_id), bench.engine.image(BASE_IMAGE)
        assert found is not None
        assert base is not None
        assert found.parent_id == base.image_id

    def test_it_answers_a_ping(self, any_engine: Engine) -> None:
        any_engine.ping()

    def test_an_unknown_image_is_none(self, any_engine: Engine) -> None:
        assert any_engine.image("crewship-enginetest-nothing:1") is None

    def test_an_image_is_found_by_tag_and_by_id(self, any_engine: Engine) -> None:
        by_tag = any_engine.image(BASE_IMAGE)
        assert by_tag is not None
        assert by_tag.image_id.startswith("sha256:")
        assert BASE_IMAGE in by_tag.tags
        assert any_engine.image(by_tag.image_id) == by_tag

    def test_tags_of_a_repository_are_listed_in_order(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "b")
        bench.engine.tag(image_id, bench.tag("a"))
        bench.engine.tag(image_id, f"{bench.prefix}-other:x")
        rows = bench.engine.image_tags(bench.prefix)
        bench.engine.remove_image(f"{bench.prefix}-other:x")
        assert [(row.tag, row.image_id) for row in rows] == [
            (bench.tag("a"), image_id),
            (bench.tag("b"), image_id),
        ]

    def test_a_tag_moves_to_another_image(self, bench: Bench) -> None:
        container = bench.container()
        bench.commit(container, "one")
        second = bench.commit(container, "two")
        bench.engine.tag(second, bench.tag("one"))
        found = bench.engine.image(bench.tag("one"))
        assert found is not None
        assert found.image_id == second

    def test_tagging_an_unknown_image_is_refused(self, bench: Bench) -> None:
        with pytest.raises(ImageNotFound):
            bench.engine.tag("sha256:" + "0" * 64, bench.tag("x"))

    def test_removing_a_name_says_whether_it_was_there(self, bench: Bench) -> None:
        bench.commit(bench.container(), "gone")
        answers = [bench.engine.remove_image(bench.tag("gone")) for _ in range(2)]
        assert answers == [True, False]

    def test_removing_the_last_name_removes_the_image(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "last")
        bench.engine.remove_image(bench.tag("last"))
        assert bench.engine.image(image_id) is None

    def test_removing_one_of_two_names_keeps_the_image(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "one")
        bench.engine.tag(image_id, bench.tag("two"))
        bench.engine.remove_image(bench.tag("one"))
        assert bench.engine.image(image_id) is not None

    def test_removing_a_child_keeps_its_untagged_parent(self, bench: Bench) -> None:
        parent = bench.commit(bench.container(), "parent")
        bench.commit(bench.container(parent), "child")
        bench.engine.remove_image(bench.tag("parent"))
        bench.engine.remove_image(bench.tag("child"))
        assert bench.engine.image(parent) is not None

    def test_a_name_goes_while_a_running_container_uses_the_image(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "used")
        bench.container(bench.tag("used"))
        assert bench.engine.remove_image(bench.tag("used"))
        assert bench.engine.image(image_id) is not None
        assert bench.engine.image(bench.tag("used")) is None

    def test_a_name_goes_while_a_stopped_container_uses_the_image(self, bench: Bench) -> None:
        bench.commit(bench.container(), "used")
        bench.container(bench.tag("used"), start=False)
        assert bench.engine.remove_image(bench.tag("used"))

    def test_an_image_in_use_is_not_removed_by_id(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "used")
        bench.container(image_id)
        with pytest.raises(ImageInUse):
            bench.engine.remove_image(image_id)

    def test_a_cancelled_pull_raises(self, any_engine: Engine) -> None:
        cancel = Event()
        cancel.set()
        with pytest.raises(BuildCancelled):
            any_engine.pull(
                "127.0.0.1:9/nothing:1",
                platform="linux/amd64",
                credentials=None,
                on_progress=lambda line: None,
                cancel=cancel,
            )


class TestCommit:
    def test_the_config_is_literal_and_whole(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "full", FULL_CONFIG)
        found = bench.engine.image(image_id)
        assert found is not None
        assert found.config == FULL_CONFIG

    def test_nothing_is_inherited_from_the_parents_config(self, bench: Bench) -> None:
        parent = bench.commit(bench.container(), "parent", FULL_CONFIG)
        config = ImageConfig(env=(("NEW", "1"),), user="0", working_dir="/", labels={"new": "1"})
        child = bench.engine.image(bench.commit(bench.container(parent), "child", config))
        assert child is not None
        assert child.config == config

    def test_a_parents_variable_is_unset_in_the_childs_containers(self, bench: Bench) -> None:
        parent_config = ImageConfig(env=(("PARENT", "here"), ("PATH", "/usr/bin:/bin")))
        parent = bench.commit(bench.container(), "parent", parent_config)
        config = ImageConfig(env=(("PATH", "/usr/bin:/bin"),))
        child = bench.commit(bench.container(parent), "child", config)
        _, output = bench.run(bench.container(child), tiny_shell.PRINT_PARENTS)
        assert output == "[unset]\n"

    def test_a_config_without_cmd_gives_an_image_without_cmd(self, bench: Bench) -> None:
        found = bench.engine.image(bench.commit(bench.container(), "bare"))
        assert found is not None
        assert (found.config.cmd, found.config.entrypoint) == (None, None)
        assert (found.config.user, found.config.working_dir) == ("0:0", "/")

    def test_two_commits_are_two_images(self, bench: Bench) -> None:
        container = bench.container()
        assert bench.commit(container, "one") != bench.commit(container, "two")

    def test_a_commit_of_changes_adds_one_layer(self, bench: Bench) -> None:
        container = bench.container()
        bench.engine.put_archive(container, "/srv", tar_of({"file": b"x"}))
        assert _layers(bench, bench.commit(container, "x")) == _layers(bench, BASE_IMAGE) + 1

    def test_a_commit_of_no_changes_adds_no_layer(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(start=False), "x")
        assert _layers(bench, image_id) == _layers(bench, BASE_IMAGE)

    def test_a_commit_of_a_container_that_is_gone_is_refused(self, bench: Bench) -> None:
        container = bench.container()
        bench.engine.remove_container(container)
        with pytest.raises(ContainerGone):
            bench.commit(container, "x")


def _layers(bench: Bench, reference: str) -> int:
    found = bench.engine.image(reference)
    assert found is not None
    return found.layer_count


class TestFiles:
    def test_files_put_before_the_start_are_in_the_next_layer(self, bench: Bench) -> None:
        container = bench.container(start=False)
        bench.engine.put_archive(container, "/srv", tar_of({"deep/file": b"content"}))
        image_id = bench.commit(container, "files")
        _, output = bench.run(bench.container(image_id), tiny_shell.read("/srv/deep/file"))
        assert output == "content"

    def test_an_archive_may_come_in_pieces(self, bench: Bench) -> None:
        container = bench.container()
        tar = tar_of({"file": b"pieces"})
        pieces = (tar[start : start + 100] for start in range(0, len(tar), 100))
        bench.engine.put_archive(container, "/srv", pieces)
        _, output = bench.run(container, tiny_shell.read("/srv/file"))
        assert output == "pieces"

    def test_garbage_instead_of_an_archive_is_refused(self, bench: Bench) -> None:
        with pytest.raises(EngineError):
            bench.engine.put_archive(bench.container(), "/srv", b"garbage" * 1000)


class TestContainers:
    def test_a_taken_name_is_a_conflict(self, bench: Bench) -> None:
        spec = ContainerSpec(bench.name("same"), BASE_IMAGE)
        bench.engine.create_container(spec)
        with pytest.raises(Conflict):
            bench.engine.create_container(spec)

    def test_an_unknown_image_is_refused(self, bench: Bench) -> None:
        with pytest.raises(ImageNotFound):
            bench.container(bench.tag("nothing"))

    def test_an_image_without_a_shell_says_so_at_start(self, bench: Bench) -> None:
        image_id = bench.import_files("noshell", {"hello": b"x"})
        with pytest.raises(ShellMissing) as caught:
            bench.container(image_id)
        assert caught.value.error_code == "shell_missing"

    def test_names_are_listed_by_their_beginning(self, bench: Bench) -> None:
        for word in ("b", "a"):
            bench.engine.create_container(ContainerSpec(bench.name(word), BASE_IMAGE))
        assert bench.engine.container_names(bench.prefix) == [bench.name("a"), bench.name("b")]
        assert bench.engine.container_names(bench.prefix[1:]) == []

    def test_removing_a_container_says_whether_it_was_there(self, bench: Bench) -> None:
        container = bench.container()
        assert [bench.engine.remove_container(container) for _ in range(2)] == [True, False]

    def test_killing_what_does_not_run_is_no_error(self, bench: Bench) -> None:
        container = bench.container(start=False)
        bench.engine.kill_container(container)
        bench.engine.remove_container(container)
        bench.engine.kill_container(container)


class TestExec:
    def test_output_arrives_and_the_exit_code_is_zero(self, bench: Bench) -> None:
        result, output = bench.run(bench.container(), tiny_shell.SAY_HI)
        assert (result.exit_code, result.cancelled, result.timed_out, output) == (
            0,
            False,
            "",
            "hi\n",
        )

    def test_a_failure_has_its_exit_code(self, bench: Bench) -> None:
        result, _ = bench.run(bench.container(), tiny_shell.EXIT_7)
        assert result.exit_code == 7

    def test_stderr_is_in_the_output(self, bench: Bench) -> None:
        _, output = bench.run(bench.container(), tiny_shell.STDERR)
        assert output == "oops\n"

    def test_stderr_can_be_had_apart(self, bench: Bench) -> None:
        errors: list[str] = []
        _, output = bench.run(bench.container(), tiny_shell.STDERR, on_stderr=errors.append)
        assert (output, "".join(errors)) == ("", "oops\n")

    def test_output_is_utf8_without_nul_bytes(self, bench: Bench) -> None:
        _, output = bench.run(bench.container(), tiny_shell.SNOWMAN)
        assert output == "☃!"

    def test_environment_values_are_literal(self, bench: Bench) -> None:
        value = 'it\'s "odd" $(id) `id` ☃\nline two = 2'
        _, output = bench.run(bench.container(), tiny_shell.PRINT_VALUE, env=[("VALUE", value)])
        assert output == value + "\n"

    def test_the_user_is_as_given(self, bench: Bench) -> None:
        _, output = bench.run(bench.container(), tiny_shell.WHO, user="1234")
        assert output == "1234\n"

    def test_the_working_directory_is_as_given(self, bench: Bench) -> None:
        _, output = bench.run(bench.container(), tiny_shell.WHERE, workdir="/usr")
        assert output == "/usr\n"

    def test_many_run_at_once_in_one_container(self, bench: Bench) -> None:
        container = bench.container()
        values = [f"value {number}" for number in range(12)]

        def print_it(value: str) -> str:
            return bench.run(container, tiny_shell.PRINT_VALUE, env=[("VALUE", value)])[1]

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(print_it, values)) == [f"{value}\n" for value in values]

    def test_cancel_kills_the_container_at_once(self, bench: Bench) -> None:
        container, cancel, set_at = bench.container(), Event(), []

        def cancel_now(_: str) -> None:
            set_at.append(time.monotonic())
            cancel.set()

        result, output = bench.run(container, tiny_shell.HANG, on_output=cancel_now, cancel=cancel)
        assert time.monotonic() - set_at[0] < 3
        assert (result.exit_code, result.cancelled, output) == (137, True, "started\n")
        with pytest.raises(ContainerGone):
            bench.run(container, tiny_shell.SAY_HI)

    def test_cancel_before_the_start_runs_nothing(self, bench: Bench) -> None:
        cancel = Event()
        cancel.set()
        result, output = bench.run(bench.container(), tiny_shell.SAY_HI, cancel=cancel)
        assert (result.cancelled, output) == (True, "")

    def test_cancel_ends_all_parallel_commands_as_cancelled(self, bench: Bench) -> None:
        container, cancel = bench.container(), Event()
        started = threading.Barrier(3, action=cancel.set)

        def await_the_others(_: str) -> None:
            started.wait(30)

        def hang(_: int) -> bool:
            return bench.run(container, tiny_shell.HANG, on_output=await_the_others, cancel=cancel)[
                0
            ].cancelled

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(hang, range(3))) == [True, True, True]

    def test_silence_is_timed_out_as_idle(self, bench: Bench) -> None:
        result, _ = bench.run(bench.container(), tiny_shell.HANG, idle_timeout_s=0.4)
        assert (result.exit_code, result.timed_out, result.cancelled) == (137, "idle", False)

    def test_chatter_is_timed_out_in_total(self, bench: Bench) -> None:
        result, _ = bench.run(bench.container(), tiny_shell.CHATTER, timeout_s=0.6)
        assert (result.exit_code, result.timed_out) == (137, "total")

    def test_a_kill_from_elsewhere_ends_it_with_137(self, bench: Bench) -> None:
        container = bench.container()
        result, _ = bench.run(
            container,
            tiny_shell.HANG,
            on_output=lambda _: bench.engine.kill_container(container),
        )
        assert (result.exit_code, result.cancelled) == (137, False)

    def test_nothing_runs_in_a_stopped_container(self, bench: Bench) -> None:
        with pytest.raises(ContainerGone):
            bench.run(bench.container(start=False), tiny_shell.SAY_HI)


class TestUsage:
    def test_what_containers_wrote_is_told_by_name(self, bench: Bench) -> None:
        container = bench.container()
        other = bench.container(start=False)
        found = bench.engine.written_bytes(bench.prefix)
        assert len(found) == 2
        assert set(found) == set(bench.engine.container_names(bench.prefix))
        assert all(size >= 0 for size in found.values())
        bench.engine.remove_container(container)
        bench.engine.remove_container(other)
        assert bench.engine.written_bytes(bench.prefix) == {}

    def test_a_sound_container_did_not_run_out_of_memory(self, bench: Bench) -> None:
        container = bench.container()
        bench.run(container, tiny_shell.EXIT_7)
        assert not bench.engine.ran_out_of_memory(container)

    def test_a_container_that_is_gone_did_not_run_out_of_memory(self, bench: Bench) -> None:
        container = bench.container()
        bench.engine.remove_container(container)
        assert not bench.engine.ran_out_of_memory(container)

    def test_of_a_container_that_is_gone_no_output_is_told(self, bench: Bench) -> None:
        container = bench.container()
        bench.engine.remove_container(container)
        assert bench.engine.container_output(container) == ""


class TestEvents:
    def test_a_tag_set_after_the_call_is_seen(self, bench: Bench) -> None:
        image_id = bench.commit(bench.container(), "one")
        cancel = Event()
        events = bench.engine.events(cancel)
        bench.engine.tag(image_id, bench.tag("watched"))
        seen = next(event for event in events if event.name == bench.tag("watched"))
        cancel.set()
        assert (seen.kind, seen.action, seen.actor_id) == ("image", "tag", image_id)

    def test_a_killed_container_is_seen(self, bench: Bench) -> None:
        container = bench.container()
        cancel = Event()
        events = bench.engine.events(cancel)
        bench.engine.kill_container(container)
        seen = next(e for e in events if e.actor_id == container and e.action == "die")
        cancel.set()
        assert seen.name.startswith(bench.prefix)

    def test_cancel_ends_the_watching(self, any_engine: Engine) -> None:
        cancel = Event()
        events = any_engine.events(cancel)
        timer = threading.Timer(0.1, cancel.set)
        timer.start()
        begun = time.monotonic()
        assert list(events) == [] or cancel.is_set()
        assert time.monotonic() - begun < 1.1
