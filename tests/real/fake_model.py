"""A model on this machine that plays steps instead of thinking, for real agents.

It speaks the OpenAI Responses format. It keeps no state: which step comes next is the number
of tool results that stand after the last message of a user that names a scenario, so any
number of agents can share it.

A scenario is named by `SCENARIO:name` in a prompt, or by the role that the prompt begins
with ("You are a reviewer"), or by both: `name/reviewer` comes before `name` before `reviewer`.
A step is {"shell": line}, {"write": [path, content]}, {"text": said}, {"http": status}, or
{"silent": true}, which answers no more while the model runs.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Step = dict[str, Any]
ROLES = {
    "You are a test writer": "test_writer",
    "You are an implementer": "implementer",
    "You are a reviewer": "reviewer",
    "You are the planner": "planner",
}
TOKENS = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
SHELLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "exec_command": lambda line: {"cmd": line},
    "shell_command": lambda line: {"command": line},
    "shell": lambda line: {"command": ["bash", "-c", line]},
}


@dataclass
class Heard:
    """One request: which scenario it belonged to, which step it was given."""

    scenario: str
    step: int
    prompt: str


@dataclass
class FakeModel:
    """Scenarios, and what was asked. `url` has no path."""

    scenarios: Mapping[str, Sequence[Step]]
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_step(self, request: Mapping[str, Any]) -> Step:
        """The step that answers a request."""
        if not request.get("tools"):
            return {"text": "A short title"}
        name, prompt, done = "", "", 0
        for kind, text in _turns(request):
            if kind == "user" and (named := self._name(text)):
                name, prompt, done = named, text, 0
            elif kind == "result":
                done += 1
        self.heard.append(Heard(name, done, prompt))
        steps = self.scenarios.get(name, ())
        return steps[done] if done < len(steps) else {"text": "There is nothing left to do."}

    def _name(self, text: str) -> str:
        named = re.findall(r"SCENARIO:([a-z0-9_]+)", text)
        role = next((role for words, role in ROLES.items() if words in text), "")
        name = named[-1] if named else ""
        keys = (f"{name}/{role}", name, role)
        return next((key for key in keys if key in self.scenarios), "")


@contextmanager
def serving(scenarios: Mapping[str, Sequence[Step]]) -> Iterator[FakeModel]:
    """A model on a free port of the loopback, for the time of the block."""
    model = FakeModel(scenarios)
    handler = type("Handler", (_Handler,), {"model": model})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        model.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield model
        finally:
            model.closing.set()
            server.shutdown()
            thread.join(10)


def _turns(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    items = request.get("input")
    for item in items if isinstance(items, list) else []:
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") == "user":
            content = item.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            yield "user", "\n".join(str(part.get("text") or "") for part in parts)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield "result", ""


def _line(step: Step) -> str:
    if "shell" in step:
        return str(step["shell"])
    path, content = step["write"]
    folder = shlex.quote(path.rpartition("/")[0] or ".")
    return f"mkdir -p {folder} && printf %s {shlex.quote(content)} > {shlex.quote(path)}"


def _item(step: Step, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {tool.get("name") for tool in tools}
    shell = next((name for name in SHELLS if name in names), None)
    number = uuid.uuid4().hex[:12]
    if "text" in step or shell is None:
        text = step.get("text", f"no tool that I know among {sorted(map(str, names))}")
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"type": "message", "id": f"msg_{number}", "role": "assistant"}
        return {**message, "status": "completed", "content": content}
    call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
    arguments = json.dumps(SHELLS[shell](_line(step)))
    return {**call, "name": shell, "arguments": arguments, "status": "completed"}


def _events(item: Mapping[str, Any], model: Any) -> Iterator[dict[str, Any]]:
    usage = {
        **TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    response = {"id": f"resp_{uuid.uuid4().hex[:12]}", "object": "response", "model": model}
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    ended = {**response, "status": "completed", "output": [item], "usage": usage}
    yield {"type": "response.completed", "response": ended}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: FakeModel

    def log_message(self, *_: Any) -> None:
        return None

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [], "models": []})

    def do_POST(self) -> None:
        if not self.path.partition("?")[0].endswith("/responses"):
            self._json(404, {"error": {"message": "only /responses is spoken here"}})
            return
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        step = self.model.next_step(request)
        if "silent" in step:
            self.model.closing.wait(120)
        if "http" in step:
            status = step["http"]
            self._json(status, {"error": {"message": f"played {status}", "code": status}})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in _events(_item(step, request.get("tools") or []), request.get("model")):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
