"""What backends say when they fail, and what it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.agents.classify import by_chat, by_error, by_status, by_text, last_paragraph
from oya.agents.listen import Listener, tokens_of
from oya.agents.watch import Vital
from oya.clock import LoopClock
from oya.lifecycle.failures import FailureClass
from oya.testing.loop import run_virtual

RECORDED = Path(__file__).parents[2] / "fixtures" / "agents"
LIMIT, DOWN, AUTH = FailureClass.PROVIDER_LIMIT, FailureClass.PROVIDER_DOWN, FailureClass.AUTH


def heard(name: str, tmp_path: Path) -> tuple[Listener, Any]:
    """What a listener has heard of a recorded turn, and the message that ended it."""
    messages = [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]

    async def listen() -> Listener:
        vital = Vital(LoopClock(), tmp_path, cpu=lambda: 0.0, log=tmp_path / "log")
        listener = Listener(vital)
        for message in messages[:-1]:
            await listener(message["method"], message["params"], "id" not in message)
        return listener

    return run_virtual(listen), messages[-1]


@pytest.mark.parametrize("agent", ["codex", "gemini", "kimi", "opencode", "qwen"])
def test_a_recorded_turn_that_worked_is_no_refusal(agent: str, tmp_path: Path) -> None:
    listener, end = heard(agent, tmp_path)
    assert end["result"]["stopReason"] == "end_turn"
    assert last_paragraph(listener.last) == "All done: wrote hello.txt and shell.txt."
    assert by_chat(listener.last) is None


@pytest.mark.parametrize(
    ("recording", "failure"), [("codex_429", LIMIT), ("codex_500", DOWN)], ids=["429", "500"]
)
def test_a_recorded_refusal_behind_end_turn(
    recording: str, failure: FailureClass, tmp_path: Path
) -> None:
    listener, end = heard(recording, tmp_path)
    assert end["result"]["stopReason"] == "end_turn"
    assert by_chat(listener.last) is failure


def test_a_recorded_refusal_as_an_error() -> None:
    lines = (RECORDED / "codex_401.jsonl").read_text().splitlines()
    error = json.loads(lines[-1])["error"]
    assert by_error(error["message"], error.get("data"), error["code"]) is AUTH


def test_usage_as_recorded(tmp_path: Path) -> None:
    _, end = heard("codex", tmp_path)
    assert tokens_of(end["result"]) == 3150
    listener, end = heard("opencode", tmp_path)
    assert (tokens_of(end["result"]), listener.cost_usd) == (1050, 0.00345)
    assert tokens_of(heard("gemini", tmp_path)[1]["result"]) is None


@pytest.mark.parametrize(
    "amount", ["1", None, -1, float("nan"), float("inf"), 10**400], ids=lambda a: str(a)[:9]
)
def test_figures_that_are_none(amount: Any, tmp_path: Path) -> None:
    async def cost() -> float | None:
        listener = Listener(Vital(LoopClock(), tmp_path, cpu=lambda: 0.0, log=tmp_path / "log"))
        update = {
            "sessionUpdate": "usage_update",
            "cost": {"amount": amount, "currency": "USD"},
        }
        await listener("session/update", {"update": update}, True)
        return listener.cost_usd

    assert run_virtual(cost) is None
    assert tokens_of({"usage": {"totalTokens": amount}}) is None


def test_what_was_said_is_bounded(tmp_path: Path) -> None:
    async def chatter() -> Listener:
        listener = Listener(Vital(LoopClock(), tmp_path, cpu=lambda: 0.0, log=tmp_path / "log"))
        for n in range(100):
            content = {"type": "text", "text": f"{n:01000}"}
            update = {"sessionUpdate": "agent_message_chunk", "content": content}
            await listener("session/update", {"update": update}, True)
        return listener

    listener = run_virtual(chatter)
    assert listener.text.endswith("99")
    assert len(listener.text) == len(listener.last) == 8000


@pytest.mark.parametrize(
    ("status", "failure"),
    [(429, LIMIT), (401, AUTH), (403, AUTH), (500, DOWN), (503, DOWN), (529, DOWN), (599, DOWN)],
)
def test_statuses_of_a_provider(status: int, failure: FailureClass) -> None:
    assert by_status(status) is failure


@pytest.mark.parametrize("status", [200, 302, 400, 404, 499, 600])
def test_other_statuses_say_nothing_about_the_provider(status: int) -> None:
    assert by_status(status) is None


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        ({"status": 429}, LIMIT),
        ({"statusCode": 503}, DOWN),
        ({"error": {"status_code": 401}}, AUTH),
        ({"cause": {"response": {"status": 429}}}, LIMIT),
        ({"status": "failed", "error": {"code": 429}}, LIMIT),
        ({"status": 404, "message": "rate limit"}, LIMIT),
        ({"code": 5}, None),
        ("HTTP 502", DOWN),
        (["429"], LIMIT),
        (None, None),
    ],
)
def test_the_status_in_an_errors_data(data: Any, failure: FailureClass | None) -> None:
    assert by_error("Internal error", data) is failure


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("429 Too Many Requests: slow down", LIMIT),
        ("You've hit your usage limit.", LIMIT),
        ("RESOURCE_EXHAUSTED", LIMIT),
        ("unexpected status 401 Unauthorized", AUTH),
        ("Invalid API key · Please run /login", AUTH),
        ("connect ECONNREFUSED: connection refused", DOWN),
        ("HTTP error 529", DOWN),
        ("Overloaded", DOWN),
        ("AssertionError: 4291 != 5003", None),
        ("cannot find module", None),
        ("", None),
    ],
)
def test_words_of_an_error(text: str, failure: FailureClass | None) -> None:
    assert by_text(text) is failure
    assert by_error(text, None) is failure


def test_only_the_end_of_a_long_text_is_evidence() -> None:
    assert by_text("HTTP 429" + " " * 2000) is None


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", LIMIT),
        ("Something before.\n\nAPI Error: 429 {}", LIMIT),
        ("■ You've hit your usage limit. Try again in 3 days.", LIMIT),
        ("Claude AI usage limit reached|1734567890", LIMIT),
        ("You’ve hit your session limit · resets 8:30pm (Asia/Tokyo)", LIMIT),
        ("You exceeded your current quota, please check your plan. Please retry in 47s.", LIMIT),
        ("5-hour limit reached ∙ resets 3pm", LIMIT),
        ("Error: unexpected status 401 Unauthorized: no key", AUTH),
        ("Invalid API key · Please run /login", AUTH),
        ("API Error: 529 Overloaded", DOWN),
        ("stream disconnected before completion: error sending request", DOWN),
    ],
)
def test_refusals_as_chat(text: str, failure: FailureClass) -> None:
    assert by_chat(text) is failure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I have added a test for 429 Too Many Requests.",
        "The client now raises on HTTP 500, and on a connection refused.",
        "Users who reach the usage limit see how long they have to wait.",
        "You can now set your own limit; those over it are told when it resets.",
        "API Error: 429\n\nI have put this into the documentation.",
        "exceeded retry limit, last status: 429 " + "and so on " * 60,
        "API Error: 404",
    ],
)
def test_talk_is_no_refusal(text: str) -> None:
    assert by_chat(text) is None


@settings(deadline=None)
@given(st.text(max_size=3000), st.one_of(st.none(), st.integers(), st.text()))
def test_any_text_has_a_class_or_none(text: str, code: Any) -> None:
    for judged in (by_text(text), by_chat(text), by_error(text, text, code)):
        assert judged is None or isinstance(judged, FailureClass)
