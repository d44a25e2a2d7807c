"""The recorded agent: a real program that speaks ACP and plays a scenario file.

    python -I -S -E scripted.py SCENARIO.json             speak ACP v1 over stdin and stdout
    python -I -S -E scripted.py SCENARIO.json --command   play once, as a `command` backend
    python -m oya.testing.scripted --check SCENARIO.json  exit 2 and say where it is wrong

OYA_BEAD, OYA_ROLE and OYA_ATTEMPT choose the entry; the format is described in
docs/reference/scenario.md. It needs nothing but the standard library, and little of
that, since a swarm starts hundreds of these.
"""

# pathlib costs milliseconds to import, too
# ruff: noqa: PTH100, PTH103, PTH108, PTH120, PTH123

from __future__ import annotations

import json
import os
import select
import sys
import time

TYPE_CHECKING = False  # so does typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Step = dict[str, Any]
    Outcome = dict[str, Any] | None  # {"stop": reason}, {"error": {...}}, or go on
    Face = dict[str, Any]  # how it speaks: say, begin, end, cancelled, watch

PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    529: "Overloaded",
}
KEPT_OUTPUT = 10_000


def main(arguments: list[str]) -> int:
    flags = [word for word in arguments if word.startswith("--")]
    files = [word for word in arguments if not word.startswith("--")]
    if len(files) != 1 or flags not in ([], ["--command"], ["--check"]):
        print("usage: scripted.py SCENARIO.json [--command | --check]", file=sys.stderr)
        return 2
    if flags == ["--check"]:
        from oya.testing import scenario

        return scenario.check(files[0])
    who = (os.environ.get("OYA_BEAD", ""), os.environ.get("OYA_ROLE", ""), attempt())
    try:
        with open(files[0], encoding="utf-8") as file:
            entry = choose(json.load(file)["entries"], *who)
        return as_command(entry, *who) if flags else as_acp(entry)
    except BrokenPipeError:
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"cannot play {files[0]}: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"python -m oya.testing.scripted --check {files[0]}", file=sys.stderr)
        return 2


def attempt() -> int:
    given = os.environ.get("OYA_ATTEMPT", "")
    return int(given) if given.isdigit() else 1


def choose(entries: list[Any], bead: str, role: str, attempt: int) -> dict[str, Any] | None:
    """The bead's own entry before `*`; among those the highest not above the attempt."""
    for name in (bead, "*"):
        fitting = [
            entry
            for entry in entries
            if (entry["bead"], entry["role"]) == (name, role) and entry.get("attempt", 1) <= attempt
        ]
        if fitting:
            best: dict[str, Any] = max(fitting, key=lambda entry: entry.get("attempt", 1))
            return best
    return None


def lines_of(entry: dict[str, Any] | None, turn: int) -> list[Step]:
    if entry is None:
        return [{"say": "The scenario has no entry for this bead, role and attempt."}]
    turns = [entry.get("steps", []), *entry.get("fixes", [])]
    return turns[turn] if turn < len(turns) else [{"say": "I have nothing more to do here."}]


# Playing


def play(steps: list[Step], face: Face) -> dict[str, Any]:
    for step in steps:
        if face["cancelled"](0):
            return {"stop": "cancelled"}
        ((name, value),) = step.items()
        outcome: Outcome = STEPS[name](value, face)
        if outcome:
            return outcome
    return {"stop": "end_turn"}


def say(text: str, face: Face) -> None:
    face["say"](text)


def write(files: dict[str, str], face: Face) -> None:
    for path, content in files.items():
        call = face["begin"](f"write {path}", "edit", path)
        put(path, content)
        face["end"](call, True, "")


def edit(change: dict[str, str], face: Face) -> None:
    path, find, replace = change["path"], change["find"], change["replace"]
    call = face["begin"](f"edit {path}", "edit", path)
    text = get(path)
    if text is not None and replace in text and (find not in text or find in replace):
        face["end"](call, True, "already so")
    elif text is not None and find in text:
        put(path, text.replace(find, replace, 1))
        face["end"](call, True, "")
    else:
        face["end"](call, False, "the text to replace is not there")
        face["say"](f"I could not edit {path}: the text to replace is not there.")


def delete(paths: list[str], face: Face) -> None:
    for path in paths:
        call = face["begin"](f"delete {path}", "delete", path)
        there = os.path.lexists(path)
        if there:
            os.unlink(path)
        face["end"](call, True, "" if there else "already gone")


def apply(diff: str, face: Face) -> Outcome:
    git, patch = ("git", "apply", "--whitespace=nowarn"), diff.encode()
    call = face["begin"]("git apply", "edit", None)
    code, text = program((*git, "--reverse", "--check", "-"), face, patch)
    if code == 0:
        text = "already applied"
    elif code is not None:
        code, text = program((*git, "-"), face, patch)
    return report(call, code, text, face, "I could not apply the diff.")


def run(line: str, face: Face) -> Outcome:
    call = face["begin"](line, "execute", None)
    code, text = program(("/bin/sh", "-c", line), face)
    return report(call, code, text, face, f"The command ended with {code}.")


def report(call: str, code: int | None, text: str, face: Face, failed: str) -> Outcome:
    face["end"](call, code == 0, text)
    if code is None:
        return {"stop": "cancelled"}
    if code:
        face["say"](failed)
    return None


def answer(content: dict[str, Any], face: Face) -> None:
    path = f".oya/out/{os.environ.get('OYA_ROLE', 'answer')}.json"
    write({path: json.dumps(content, indent=2) + "\n"}, face)


def wait(seconds: float, face: Face) -> Outcome:
    return {"stop": "cancelled"} if face["cancelled"](seconds) else None


def hang(_: bool, face: Face) -> None:
    while True:
        time.sleep(3600)


def crash(_: bool, face: Face) -> None:
    os.kill(os.getpid(), 9)


def leave_with(code: int, face: Face) -> None:
    sys.exit(code)


def stop(reason: str, face: Face) -> Outcome:
    return {"stop": reason}


def error(what: dict[str, Any], face: Face) -> Outcome:
    status = what["status"]
    title = f"{status} {PHRASES.get(status, 'Error')}"
    message = what.get("message", PHRASES.get(status, "Error"))
    if what.get("as") == "end_turn":
        face["say"](f"exceeded retry limit, last status: {title}: {message}")
        return {"stop": "end_turn"}
    return {"error": {"code": -32603, "message": f"{title}: {message}", "data": {**what}}}


def flood(what: dict[str, Any], face: Face) -> None:
    left = what["bytes"]
    while left > 0:
        size = min(left, 65536)
        if what["stream"] == "updates":
            face["say"]("x" * size)
        else:
            output(1 if what["stream"] == "stdout" else 2, b"x" * (size - 1) + b"\n")
        left -= size


def leave(line: str, face: Face) -> None:
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    os.posix_spawn("/bin/sh", ("/bin/sh", "-c", line), os.environ, file_actions=null, setsid=True)


STEPS: dict[str, Callable[..., Outcome]] = {
    "say": say,
    "write": write,
    "edit": edit,
    "delete": delete,
    "apply": apply,
    "run": run,
    "answer": answer,
    "wait": wait,
    "hang": hang,
    "crash": crash,
    "exit": leave_with,
    "stop": stop,
    "error": error,
    "flood": flood,
    "leave": leave,
}


def program(argv: tuple[str, ...], face: Face, stdin: bytes = b"") -> tuple[int | None, str]:
    """Exit code (negative for a signal, None if cancelled) and the last of the output."""
    given = os.memfd_create("stdin")
    output(given, stdin)
    os.lseek(given, 0, os.SEEK_SET)
    source, sink = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, given, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, sink, fd) for fd in (1, 2)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setpgroup=0)
    os.close(given)
    os.close(sink)
    os.set_blocking(source, False)
    end, text, cancelled = os.pidfd_open(pid), b"", False
    watched = [source, end, *face["watch"]]
    while not cancelled:
        ready = select.select(watched, [], [])[0]
        chunk = read_now(source)
        text = (text + chunk)[-KEPT_OUTPUT:]
        if end in ready:
            break
        if source in ready and not chunk:
            watched.remove(source)
        cancelled = any(fd in ready for fd in face["watch"]) and face["cancelled"](0)
    if cancelled:
        os.killpg(pid, 9)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(source)
    os.close(end)
    return None if cancelled else code, text.decode(errors="replace")


def read_now(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def get(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None


def put(path: str, content: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(content)


def output(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# The two faces


def as_command(entry: dict[str, Any] | None, bead: str, role: str, attempt: int) -> int:
    """Each call under the same attempt plays the next list; the count is in the workspace."""
    note, me = ".oya/out/.turn", [bead, role, attempt]
    before = json.loads(get(note) or "[null, 0]")
    turn = before[1] if before[0] == me else 0
    put(note, json.dumps([me, turn + 1]))
    outcome = play(lines_of(entry, turn), command_face())
    if "error" in outcome:
        print(outcome["error"]["message"], file=sys.stderr)
        return 1
    return 0


def command_face() -> Face:
    def cancelled(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    return {
        "say": lambda text: print(text, flush=True),
        "begin": lambda title, kind, path: print(f"> {title}", flush=True),
        "end": lambda call, ok, text: print(text, end="", flush=True),
        "cancelled": cancelled,
        "watch": [],
    }


def as_acp(entry: dict[str, Any] | None) -> int:
    receive = receiver()
    sessions: dict[str, dict[str, Any]] = {}
    while message := receive(None):
        method, params = message.get("method"), message.get("params") or {}
        if "id" not in message or method is None:
            continue  # a notification out of turn, or an answer to nothing
        reply: dict[str, Any]
        if method == "initialize":
            reply = {"result": introduction()}
        elif method == "session/new":
            name = f"scripted-{len(sessions) + 1}"
            sessions[name] = {"cwd": params["cwd"], "turn": 0}
            reply = {"result": {"sessionId": name}}
        elif method == "session/prompt" and params.get("sessionId") in sessions:
            session = sessions[params["sessionId"]]
            os.chdir(session["cwd"])
            face = acp_face(params["sessionId"], receive)
            outcome = play(lines_of(entry, session["turn"]), face)
            session["turn"] += 1
            done = {"result": {"stopReason": outcome.get("stop")}}
            reply = outcome if "error" in outcome else done
        elif method in ("authenticate", "session/close"):
            reply = {"result": {}}
        else:
            reply = {"error": {"code": -32601, "message": f"cannot do {method}"}}
        send({"id": message["id"], **reply})
    return 0


def introduction() -> dict[str, Any]:
    return {
        "protocolVersion": 1,
        "agentInfo": {"name": "oya-scripted", "title": "Recorded agent", "version": "1"},
        "agentCapabilities": {"loadSession": False},
        "authMethods": [],
    }


def acp_face(session: str, receive: Callable[[float | None], Any]) -> Face:
    calls = 0

    def update(kind: str, /, **fields: Any) -> None:
        params = {"sessionId": session, "update": {"sessionUpdate": kind, **fields}}
        send({"method": "session/update", "params": params})

    def begin(title: str, kind: str, path: str | None) -> str:
        nonlocal calls
        calls += 1
        places = [{"path": os.path.abspath(path)}] if path else []
        fields = {"toolCallId": f"call-{calls}", "title": title, "kind": kind}
        update("tool_call", **fields, status="in_progress", locations=places)
        return f"call-{calls}"

    def end(call: str, ok: bool, text: str) -> None:
        content = [{"type": "content", "content": {"type": "text", "text": text}}] if text else []
        status = "completed" if ok else "failed"
        update("tool_call_update", toolCallId=call, status=status, content=content)

    def cancelled(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while message := receive(max(0.0, deadline - time.monotonic())):
            if message.get("method") == "session/cancel":
                return True
            if "id" in message and "method" in message:
                send({"id": message["id"], "error": {"code": -32600, "message": "busy"}})
        return False

    def say(text: str) -> None:
        update("agent_message_chunk", content={"type": "text", "text": text})

    return {"say": say, "begin": begin, "end": end, "cancelled": cancelled, "watch": [0]}


def receiver() -> Callable[[float | None], Any]:
    """A function that returns the next message, or None after so many seconds.

    When the client closes stdin it ends the program, as agents do.
    """
    buffer = bytearray()

    def receive(seconds: float | None) -> Any:
        while b"\n" not in buffer:
            if not select.select([0], [], [], seconds)[0]:
                return None
            chunk = os.read(0, 65536)
            if not chunk:
                sys.exit(0)
            buffer.extend(chunk)
        line, _, rest = bytes(buffer).partition(b"\n")
        buffer[:] = rest
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        return message if isinstance(message, dict) else {"method": "unreadable"}

    return receive


def send(message: dict[str, Any]) -> None:
    output(1, json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
