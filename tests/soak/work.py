"""The work of the soak: many small builds, hits and restarts, in rounds that are all alike."""

from __future__ import annotations

import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.engine.real import BASE_IMAGE
from tests.stack.server import Api, wait_until

PATIENCE_S = 300.0
BUILDERS = 6  # crews that build in turn: more wait than workers are there
AGENTS_A_CREW = 10
CLIENTS = 4
COMMAND = 'trap "exit 0" TERM; echo up; while :; do echo tick; sleep 5 & wait; done'


@dataclass(frozen=True, slots=True)
class Amount:
    """All of the work; ``of_round`` is a tenth, so that the first tenth is the first round."""

    builds: int = 300
    hits: int = 3000
    agents: int = 50
    restarts: int = 10  # of each agent
    rounds: int = 10

    def scaled(self, scale: float) -> Amount:
        """Fewer of everything but rounds, at least one of each a round."""
        rounds = self.rounds
        return Amount(
            builds=max(rounds, round(self.builds * scale)),
            hits=max(rounds, round(self.hits * scale)),
            agents=max(1, round(self.agents * scale)),
            restarts=self.restarts,
            rounds=rounds,
        )


@dataclass(slots=True)
class Work:
    """Crews and agents of one installation, and a round of work with them."""

    api: Api
    amount: Amount
    builders: list[str] = field(default_factory=list)
    crews: list[str] = field(default_factory=list)  # with agents
    hit: str = ""

    def prepare(self) -> None:
        """Crews are there, one image is cached, all agents run."""
        self.builders = [self.api.crew(f"builder-{n}", _config()) for n in range(BUILDERS)]
        self.hit = self.api.crew("hit", _config())
        self.api.build(self.hit, within_s=PATIENCE_S)
        for number in range(0, self.amount.agents, AGENTS_A_CREW):
            crew = self.api.crew(f"agents-{number}", _config())
            self.api.build(crew, within_s=PATIENCE_S)
            self.crews.append(crew)
            for agent in range(number, min(number + AGENTS_A_CREW, self.amount.agents)):
                self._start_agent(crew, f"agent-{agent}")

    def round(self) -> None:
        builds = self.amount.builds // self.amount.rounds
        hits = self.amount.hits // self.amount.rounds
        with ThreadPoolExecutor(CLIENTS + 2) as pool:
            tasks = [pool.submit(self._build, builds)]
            tasks += [pool.submit(self._hit, part) for part in _parts(hits, CLIENTS)]
            for task in tasks:
                task.result()
        for crew in self.crews:
            answer = self.api.http.post(f"/crews/{crew}/restart-agents", timeout=PATIENCE_S)
            assert answer.status_code == 200, answer.text
            assert "failed" not in answer.json(), answer.text

    def _build(self, count: int) -> None:
        """Each of the builders has a job under way until all are built."""
        free, busy = deque(self.builders), deque[str]()
        while count or busy:
            if count and free:
                crew = free.popleft()
                self.api.configure(crew, _config())
                self.api.provision(crew)
                busy.append(crew)
                count -= 1
                continue
            crew = busy.popleft()
            status = self.api.wait(crew, PATIENCE_S)
            assert status["status"] == "completed", status
            free.append(crew)

    def _hit(self, count: int) -> None:
        for _ in range(count):
            self.api.provision(self.hit)

    def _start_agent(self, crew: str, name: str) -> None:
        body = {"name": name, "command": COMMAND}
        answer = self.api.http.post(f"/crews/{crew}/agents", json=body)
        assert answer.status_code == 201, answer.text
        path = f"/crews/{crew}/agents/{answer.json()['id']}"
        assert self.api.http.post(f"{path}/start").status_code == 202

        def runs() -> bool:
            return bool(self.api.http.get(path).json()["status"] == "running")

        wait_until(runs, PATIENCE_S, f"{name} runs", 0.2)


def _config() -> dict[str, Any]:
    """A small build that nobody has had."""
    nonce = uuid.uuid4().hex
    return {
        "image": BASE_IMAGE,
        "containerEnv": {"NONCE": nonce},
        "onCreateCommand": f"echo {nonce} > $HOME/nonce",
    }


def _parts(count: int, among: int) -> list[int]:
    return [count // among + (1 if n < count % among else 0) for n in range(among)]
