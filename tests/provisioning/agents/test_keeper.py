"""Wishes come true, and what the engine has is in the rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cache.models import UpkeepProblem
from crewship.crews.models import Agent, AgentStatus, Crew
from crewship.domain.errors import DiskFull, EngineError, EngineUnreachable
from crewship.engine.fake_agents import FakeProcess
from provisioning.agents.keeper import AgentKeeper
from provisioning.agents.wishes import wish_started, wish_stopped
from provisioning.models import AgentContainer, AgentNetwork, AgentVolume
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker
from tests.provisioning.agents.conftest import World


def test_a_wish_to_start_is_carried_out(world: World) -> None:
    agent = world.start(world.agent())
    assert world.runs(agent)
    assert (agent.status, agent.done, agent.error) == (AgentStatus.RUNNING, 1, "")
    assert agent.live_image_id == world.image.image_id
    assert agent.started_at is not None


def test_a_wish_to_stop_ends_and_removes_the_container(world: World) -> None:
    agent = world.stop(world.start(world.agent()))
    assert (agent.status, agent.done) == (AgentStatus.STOPPED, 2)
    assert (agent.container_id, agent.live_image_id) == ("", "")
    assert world.engine.container_names("crewship-") == []
    assert not AgentContainer.objects.exists()


def test_a_wish_to_restart_moves_to_the_current_image(world: World) -> None:
    agent = world.start(world.agent())
    world.new_image()
    world.tick()
    assert world.fresh(agent).live_image_id != world.image.image_id, "not before it is asked"
    agent = world.start(agent)
    assert agent.live_image_id == world.image.image_id


def test_a_restart_has_the_environment_of_now(world: World) -> None:
    agent = world.start(world.agent(env={"OWN": "old"}))
    Agent.objects.filter(pk=agent.pk).update(env={"OWN": "new"})
    world.start(agent)
    assert "OWN='new'" in world.engine.inputs[world.name(agent)]


def test_volumes_are_handed_over_unless_its_container_held_them_until_now(world: World) -> None:
    agent = world.start(world.agent())
    world.start(agent)
    assert len(world.engine.call_args("put_archive")) == 1
    world.stop(agent)
    world.start(agent)
    assert len(world.engine.call_args("put_archive")) == 2


def test_what_ended_starts_again_as_it_was(world: World) -> None:
    agent = world.start(world.agent(env={"OWN": "old"}))
    Agent.objects.filter(pk=agent.pk).update(env={"OWN": "new"})
    before = world.new_image().image_id
    world.engine.end(world.name(agent), 3)
    world.tick()
    agent = world.fresh(agent)
    assert (agent.status, agent.exit_code) == (AgentStatus.EXITED, 3)
    assert agent.live_image_id == ""
    world.tick(after_s=1)
    agent = world.fresh(agent)
    assert (agent.status, agent.restarts) == (AgentStatus.RUNNING, 1)
    assert "OWN='old'" in world.engine.inputs[world.name(agent)]
    assert agent.live_image_id != before


def test_one_whose_container_is_gone_is_made_anew(world: World) -> None:
    agent = world.start(world.agent())
    world.engine.remove_container(world.name(agent))
    world.tick()
    assert world.fresh(agent).status == AgentStatus.EXITED
    world.tick(after_s=1)
    assert world.runs(agent)


def test_it_waits_longer_from_end_to_end(world: World) -> None:
    world.engine.on_input(lambda spec, text: FakeProcess("once\n", ends=True))
    agent = world.start(world.agent())
    for delay_s in (1, 2, 4, 8, 16, 32, 60, 60):
        world.tick(after_s=delay_s - 0.1)
        before = world.fresh(agent).restarts
        world.tick(after_s=0.1)
        assert world.fresh(agent).restarts == before + 1, delay_s


def test_one_that_ran_for_a_minute_begins_anew_at_a_second(world: World) -> None:
    agent = world.start(world.agent())
    for ran_s in (0, 0, 61):
        world.tick(after_s=ran_s)
        world.engine.end(world.name(agent))
        world.tick()
        world.tick(after_s=1 if ran_s else 60)
    assert world.fresh(agent).restarts == 3


def test_a_stop_while_it_waits_for_its_restart_stays(world: World) -> None:
    agent = world.start(world.agent())
    world.engine.end(world.name(agent))
    world.tick()
    world.stop(agent)
    world.tick(after_s=60)
    assert world.fresh(agent).status == AgentStatus.STOPPED
    assert not world.runs(agent)


def test_what_can_not_be_started_is_failed_and_says_why(world: World) -> None:
    world.engine.fail_next("create_agent", DiskFull("The Docker host's disk is full."))
    world.engine.fail_next("create_agent", DiskFull("The Docker host's disk is full."))
    world.engine.fail_next("create_agent", DiskFull("The Docker host's disk is full."))
    agent = world.start(world.agent())
    assert (agent.status, agent.done) == (AgentStatus.FAILED, 1)
    assert "disk is full" in agent.error
    assert agent.live_image_id == ""
    world.tick(after_s=60)
    assert world.fresh(agent).status == AgentStatus.FAILED, "until it is asked for again"
    assert world.start(agent).status == AgentStatus.RUNNING


def test_an_engine_that_is_away_is_no_failure(world: World) -> None:
    world.engine.fail_next("create_agent", EngineUnreachable("away"))
    agent = world.start(world.agent())
    assert (agent.status, agent.done) == (AgentStatus.STARTING, 0)
    world.tick(after_s=1)
    assert world.fresh(agent).status == AgentStatus.RUNNING


def test_a_fault_of_ours_is_failed_without_internals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ValueError("internals")

    monkeypatch.setattr("provisioning.agents.actions.launch", broken)
    agent = world.start(world.agent())
    assert agent.status == AgentStatus.FAILED
    assert "internals" not in agent.error


def test_a_wish_made_while_one_is_carried_out_comes_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status is not written over, and it is not taken for done."""
    agent = world.agent()

    def stop_meanwhile(*_: object) -> FakeProcess:
        wish_stopped(Agent.objects.filter(pk=agent.pk))
        return FakeProcess()

    world.engine.on_input(stop_meanwhile)
    wish_started(Agent.objects.filter(pk=agent.pk), world.host.name)
    world.tick(1)
    seen = world.fresh(agent)
    assert (seen.status, seen.asked, seen.done) == (AgentStatus.STOPPING, 2, 1)
    world.tick()
    assert world.fresh(agent).status == AgentStatus.STOPPED
    assert not world.runs(agent)


def test_another_hosts_agents_are_left_alone(world: World) -> None:
    agent = world.agent()
    wish_started(Agent.objects.filter(pk=agent.pk), "elsewhere")
    world.tick()
    assert world.fresh(agent).status == AgentStatus.STARTING
    assert world.engine.container_names("crewship-") == []


class TestImages:
    def test_without_one_it_waits(self, world: World, make_job: JobMaker) -> None:
        Crew.objects.update(cached_image=None)
        make_job(world.crew, JobState.RUNNING)
        agent = world.start(world.agent())
        assert (agent.status, agent.done) == (AgentStatus.STARTING, 0)
        Crew.objects.filter(pk=world.crew.pk).update(cached_image=world.image.tag)
        world.tick(after_s=1)
        assert world.fresh(agent).status == AgentStatus.RUNNING

    @pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
    def test_without_one_to_come_it_fails(
        self, world: World, make_job: JobMaker, state: JobState
    ) -> None:
        Crew.objects.update(cached_image=None)
        make_job(world.crew, state, error="the hook said no")
        agent = world.start(world.agent())
        assert agent.status == AgentStatus.FAILED
        assert ("the hook said no" in agent.error) == (state == JobState.FAILED)

    def test_a_restart_without_a_current_one_runs_the_same_again(self, world: World) -> None:
        agent = world.start(world.agent())
        Crew.objects.update(cached_image=None)
        again = world.start(agent)
        assert again.status == AgentStatus.RUNNING
        assert again.container_id != agent.container_id
        assert again.live_image_id == agent.live_image_id


class TestAfterARestartOfTheWatcher:
    def test_what_runs_is_adopted_as_it_is(self, world: World) -> None:
        agent = world.start(world.agent())
        started = len(world.engine.call_args("start_with_input"))
        Agent.objects.update(status=AgentStatus.STARTING, container_id="")
        world.watch_anew()
        world.tick()
        again = world.fresh(agent)
        assert (again.status, again.container_id) == (AgentStatus.RUNNING, agent.container_id)
        assert len(world.engine.call_args("start_with_input")) == started

    def test_what_ended_meanwhile_is_started_again_at_once(self, world: World) -> None:
        agent = world.start(world.agent())
        world.engine.end(world.name(agent))
        world.watch_anew()
        world.tick()
        world.tick(after_s=1)
        assert world.runs(agent)

    def test_output_goes_on_where_it_was_written(self, world: World) -> None:
        world.engine.on_input(lambda spec, text: FakeProcess("first\n", ends=True))
        agent = world.start(world.agent())
        world.logs.drain(agent.pk)
        assert world.log(agent)[0] == "first"
        assert world.logs.resume_point(agent.pk) > 0


class TestWhatIsLeft:
    def test_a_deleted_agents_container_goes(self, world: World) -> None:
        agent = world.start(world.agent())
        Agent.objects.all().delete()
        world.tick(after_s=1)
        assert not world.runs(agent)
        assert not AgentContainer.objects.exists()

    def test_the_network_goes_with_the_last_container(self, world: World) -> None:
        one, two = (world.start(world.agent(name)) for name in ("one", "two"))
        assert len(world.engine.places.networks) == 1
        world.stop(one)
        world.tick(after_s=1)
        assert len(world.engine.places.networks) == 1
        world.stop(two)
        world.tick(after_s=1)
        assert world.engine.places.networks == {}
        assert not AgentNetwork.objects.exists()

    def test_volumes_stay_until_they_are_to_go(self, world: World) -> None:
        agent = world.stop(world.start(world.agent()))
        world.tick(after_s=1)
        names = {f"crewship-{world.crew.pk}-workspace", f"crewship-{agent.pk}-home"}
        assert world.engine.places.volumes == names
        AgentVolume.objects.update(delete_at=agent.created_at)
        world.tick(after_s=1)
        assert world.engine.places.volumes == set()
        assert not AgentVolume.objects.exists()

    def test_a_container_that_cannot_be_removed_stops_only_itself(self, world: World) -> None:
        one, two = (world.start(world.agent(name)) for name in ("one", "two"))
        Agent.objects.all().delete()
        world.engine.fail_next("remove_container", EngineError("driver failed"))
        world.tick(after_s=1)
        assert [world.runs(agent) for agent in (one, two)].count(True) == 0
        (left,) = AgentContainer.objects.all()
        problem = UpkeepProblem.objects.get()
        assert (problem.kind, problem.name) == ("remove agent container", left.name)
        tries = len(world.engine.call_args("remove_container"))
        world.tick(after_s=1)  # its time has not come
        assert len(world.engine.call_args("remove_container")) == tries
        UpkeepProblem.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
        world.tick(after_s=1)
        assert not AgentContainer.objects.exists()
        assert not UpkeepProblem.objects.exists()

    def test_a_network_that_cannot_be_removed_stops_neither_networks_nor_volumes(
        self, world: World, cast: Cast
    ) -> None:
        other = make_crew(cast.strange_workspace, "backend")
        Crew.objects.filter(pk=other.pk).update(cached_image=world.image.tag)
        for crew in (world.crew, other):
            world.stop(world.start(world.agent("same", crew)))
        AgentVolume.objects.update(delete_at=timezone.now())
        world.engine.fail_next("remove_network", EngineError("driver failed"))
        world.tick(after_s=1)
        assert AgentNetwork.objects.count() == 1
        assert not AgentVolume.objects.exists()
        assert UpkeepProblem.objects.get().kind == "remove network"

    def test_a_renamed_agents_old_container_goes_at_its_restart(self, world: World) -> None:
        agent = world.start(world.agent("before"))
        Agent.objects.update(name="after")
        world.tick()
        assert world.fresh(agent).status == AgentStatus.RUNNING
        world.start(agent)
        names = world.engine.container_names("crewship-")
        assert names == [f"crewship-{world.crew.pk}-after"]

    def test_strange_containers_are_never_touched(self, world: World) -> None:
        """However much one's name looks like ours."""
        stranger = world.start(world.agent("stranger"))
        AgentContainer.objects.all().delete()
        Agent.objects.all().delete()
        world.tick(after_s=1)
        assert world.runs(stranger)


def test_an_agent_that_cannot_be_settled_stops_only_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (world.agent(name) for name in ("bad", "good"))
    wish_started(Agent.objects.all(), world.host.name)
    settle = AgentKeeper._settle

    def settle_or_fail(self: AgentKeeper, agent: Agent) -> None:
        if agent.pk == bad.pk:
            raise KeyError("row")
        settle(self, agent)

    monkeypatch.setattr(AgentKeeper, "_settle", settle_or_fail)
    world.tick()
    assert world.fresh(good).status == AgentStatus.RUNNING
    problem = UpkeepProblem.objects.get()
    assert (problem.kind, problem.name) == ("settle agent", bad.pk)


def test_crews_have_networks_of_their_own(world: World, cast: Cast) -> None:
    other = make_crew(cast.strange_workspace, "backend")
    Crew.objects.filter(pk=other.pk).update(cached_image=world.image.tag)
    agents = [world.start(world.agent("same", crew)) for crew in (world.crew, other)]
    assert [agent.status for agent in agents] == [AgentStatus.RUNNING] * 2
    subnets = set(world.engine.places.networks.values())
    assert len(subnets) == 2
    assert len(world.engine.container_names("crewship-")) == 2


def test_addresses_that_somebody_else_uses_are_passed_over(world: World) -> None:
    agent = world.start(world.agent())
    (taken,) = world.engine.places.networks.values()
    world.stop(agent)
    world.tick(after_s=1)
    world.engine.create_network("strange", taken)
    world.start(agent)
    assert len(set(world.engine.places.networks.values())) == 2


def test_a_start_that_was_asked_for_counts_restarts_anew(world: World) -> None:
    agent = world.start(world.agent())
    world.engine.end(world.name(agent))
    world.tick()
    world.tick(after_s=1)
    assert world.fresh(agent).restarts == 1
    assert world.fresh(world.start(agent)).restarts == 0
