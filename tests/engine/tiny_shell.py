"""The few commands of the contract tests: as argv for a real engine, as answers of the fake."""

from __future__ import annotations

from crewship.engine.fake import FakeExec, FakeRun

SAY_HI = ("sh", "-c", "echo hi")
EXIT_7 = ("sh", "-c", "exit 7")
STDERR = ("sh", "-c", "echo oops >&2")
HANG = ("sh", "-c", "echo started; sleep 60")
CHATTER = ("sh", "-c", "while :; do echo on; sleep 0.05; done")
PRINT_VALUE = ("printenv", "VALUE")
PRINT_PARENTS = ("sh", "-c", 'echo "[${PARENT-unset}]"')
WHO = ("id", "-u")
WHERE = ("pwd",)
SNOWMAN = ("printf", "\\342\\230\\203\\000!")


def read(path: str) -> tuple[str, ...]:
    return ("cat", path)


def answer(call: FakeExec) -> FakeRun | None:
    """What those commands do, for FakeEngine.on_exec."""
    if call.argv[0] == "cat":
        return FakeRun(call.files[call.argv[1]].decode())
    return {
        SAY_HI: FakeRun("hi\n"),
        EXIT_7: FakeRun(exit_code=7),
        STDERR: FakeRun(stderr="oops\n"),
        HANG: FakeRun("started\n", sleep_s=60),
        CHATTER: FakeRun("on\n", sleep_s=60),
        PRINT_VALUE: FakeRun(call.env.get("VALUE", "") + "\n"),
        PRINT_PARENTS: FakeRun("[unset]\n"),
        WHO: FakeRun({"root": "0"}.get(call.user, call.user) + "\n"),
        WHERE: FakeRun((call.workdir or "/") + "\n"),
        SNOWMAN: FakeRun("☃\0!"),
    }.get(call.argv)
