"""Sends a case to the save route and says what is wrong with the answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from crewship.crews.models import Crew
from crewship.crews.services import crew_hash, crew_spec
from crewship.domain.errors import ConfigInvalid
from tests.cast import Cast, make_crew
from tests.conftest import Client
from tests.fuzz.case import Case, Target
from tests.fuzz.grammar import described
from tests.fuzz.shrink import smallest

TEXTS = ("devcontainer_config", "mise_config", "lock_config")
PLACED = ("syntax", "too_deep", "duplicate_key")  # codes that say where in the text
# A text of 100 KB may be wrong in 20,000 places, and all of them are named.
READ_EVERY = 8  # the route to read a crew is asked this seldom; else its row is looked at
MAX_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True)
class Verdict:
    """``complaint`` is "" for a right answer; equal complaints are one kind of failure."""

    complaint: str
    accepted: bool = False
    codes: frozenset[str] = frozenset()
    answer: str = ""


@dataclass
class Judge:
    client: Client
    crews: Mapping[Target, str]
    codes: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    sent: int = 0

    def check(self, case: Case) -> None:
        """Fails the test, with the smallest body that does, unless the answer is right."""
        try:
            verdict = self.verdict(case)
        except BaseException as err:  # a hang ends as an exception of pytest-timeout
            err.add_note(described(case))
            raise
        self.sent += 1
        self.accepted += verdict.accepted
        self.codes.update(verdict.codes)
        if verdict.complaint:
            raise AssertionError(self._report(case, verdict.complaint))
        expectation = _missed(case, verdict)
        if expectation:
            raise AssertionError(f"{expectation}: {described(case)}\n{verdict.answer}")

    def verdict(self, case: Case) -> Verdict:
        """What the answer is like; whatever was saved is rolled back."""
        with transaction.atomic():
            response = self._send(case)
            verdict = (
                _refused(response) if response.status_code >= 400 else self._saved(case, response)
            )
            transaction.set_rollback(True)
        return verdict

    def _send(self, case: Case) -> Any:
        send: Any = self.client.generic  # the stubs know bodies of text only
        if case.target is Target.NEW:
            return send("POST", "/crews", case.body, "application/json")
        return send("PATCH", f"/crews/{self.crews[case.target]}", case.body, "application/json")

    def _saved(self, case: Case, response: Any) -> Verdict:
        answer = response.json()
        codes = frozenset(warning["code"] for warning in answer["warnings"])
        complaint = self._saved_complaint(case, response, answer)
        return Verdict(complaint, True, codes, response.content.decode()[:500])

    def _saved_complaint(self, case: Case, response: Any, answer: dict[str, Any]) -> str:
        if response.status_code != (201 if case.target is Target.NEW else 200):
            return f"status {response.status_code}"
        if len(response.content) > MAX_ANSWER:
            return "the answer is too long"
        sent = json.loads(case.body)
        crew = Crew.objects.select_related("workspace").get(pk=answer["id"])
        read = vars(crew)
        if self.sent % READ_EVERY == 0:
            read = self.client.get(f"/crews/{crew.pk}").json()
        for name in TEXTS:
            text = sent.get(name)
            if isinstance(text, str) and text and not text == answer[name] == read[name]:
                return f"{name} does not read back"
        try:
            spec = crew_spec(crew)
        except ConfigInvalid as err:
            return f"a saved text is refused later: {err.problems[0].code}"
        again = crew_hash(crew, spec) if spec else None
        if not again == answer["config_hash"] == read["config_hash"]:
            return "another hash when parsed again"
        return ""

    def _report(self, case: Case, complaint: str) -> str:
        def fails(body: bytes) -> bool:
            small = Case(case.name, case.target, body)
            return self.verdict(small).complaint == complaint

        small = Case(case.name, case.target, smallest(case.body, fails))
        answer = self.verdict(small).answer
        return f"{complaint}: {described(small)}\nanswer: {answer}\nas it was: {case.body[:600]!r}"


def make_judge(cast: Cast, client: Client) -> Judge:
    bare = make_crew(cast.workspace, "bare", None)
    full = make_crew(
        cast.workspace,
        "full",
        {"image": "debian:sid"},
        mise_config='{"tools": {"node": "22"}}',
        lock_config='{"features": {}}',
        runtime_image="debian:trixie",
    )
    return Judge(client, {Target.BARE: bare.pk, Target.FULL: full.pk})


def _refused(response: Any) -> Verdict:
    text = response.content.decode()[:500]
    if response.status_code != 400:
        return Verdict(f"status {response.status_code}", answer=text)
    if response["Content-Type"] != "application/problem+json":
        return Verdict("no problem+json", answer=text)
    if len(response.content) > MAX_ANSWER:
        return Verdict("the answer is too long", answer=text)
    answer = response.json()
    errors = answer.get("errors")
    if not errors:
        return Verdict("no errors", answer=text)
    flaws = sorted({flaw for error in errors if (flaw := _flaw(error))})
    codes = frozenset(error["code"] for error in errors if "code" in error) | {answer["code"]}
    return Verdict("; ".join(flaws), codes=codes, answer=text)


def _flaw(error: dict[str, Any]) -> str:
    """What is wrong with one of ``errors``, or ""."""
    if not isinstance(error.get("path"), str):
        return "an error without path"
    if not (error.get("code") and error.get("message")):
        return "an error without code or message"
    if not str(error["message"]).isprintable():
        return "a message with control characters"
    placed = all(isinstance(error.get(n), int) and error[n] >= 1 for n in ("line", "column"))
    if error["code"] in PLACED and not placed:
        return f"{error['code']} without line and column"
    return ""


def _missed(case: Case, verdict: Verdict) -> str:
    """How the answer differs from what the case knows of it, or ""."""
    if case.accepted is not None and case.accepted != verdict.accepted:
        return "accepted" if verdict.accepted else "refused"
    if case.code and case.code not in verdict.codes:
        return f"{case.code} is not among {sorted(verdict.codes)}"
    return ""
