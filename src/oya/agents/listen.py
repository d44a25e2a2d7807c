"""Our side of the Agent Client Protocol: listens, allows, and offers nothing.

Messages are read as plain data, not through the SDK's models: kinds of updates that it
does not know yet must not break a turn.
"""

from __future__ import annotations

from typing import Any

from oya.agents.watch import Vital

KEEP = 8000
MAX_OPEN = 1000
_ALLOWING = ("allow_always", "allow_once")


class Listener:
    """What was heard in the current turn.

    `text` is the end of what the agent said, `last` what it has said since its last tool
    call, both bounded; `cost_usd` is of the session, as far as it is told.
    """

    def __init__(self, vital: Vital) -> None:
        self._vital = vital
        self._open: set[str] = set()
        self.text = ""
        self.last = ""
        self.cost_usd: float | None = None

    def new_turn(self) -> None:
        """Forget the turn before."""
        self.text = self.last = ""
        self._open.clear()
        self._vital.counts_cpu = False

    async def __call__(self, method: str, params: Any, is_notification: bool) -> Any:
        """Handle one message of the agent: what is not known is refused, or passed over."""
        params = params if isinstance(params, dict) else {}
        if method == "session/update":
            self._update(_dict(params.get("update")))
            return None
        if method == "session/request_permission":
            return {"outcome": _allowed(params.get("options"))}
        if is_notification:
            return None
        from acp import RequestError

        raise RequestError.method_not_found(method)

    def _update(self, update: dict[str, Any]) -> None:
        kind = update.get("sessionUpdate")
        if kind == "agent_message_chunk":
            said = _dict(update.get("content")).get("text")
            if isinstance(said, str):
                self.text = (self.text + said)[-KEEP:]
                self.last = (self.last + said)[-KEEP:]
        elif kind in ("tool_call", "tool_call_update"):
            self._tool(str(update.get("toolCallId")), update.get("status"))
        elif kind == "usage_update":
            cost = _dict(update.get("cost"))
            if cost.get("currency") == "USD" and _is_amount(cost.get("amount")):
                self.cost_usd = float(cost["amount"])

    def _tool(self, call: str, status: Any) -> None:
        self.last = ""
        if status in ("completed", "failed"):
            self._open.discard(call)
        elif len(self._open) < MAX_OPEN:
            self._open.add(call)
        self._vital.counts_cpu = bool(self._open)


def _allowed(options: Any) -> dict[str, Any]:
    offered = [_dict(option) for option in options] if isinstance(options, list) else []
    for kind in _ALLOWING:
        for option in offered:
            if option.get("kind") == kind:
                return {"outcome": "selected", "optionId": option.get("optionId")}
    return {"outcome": "cancelled"}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e9  # NaN is not


def tokens_of(answer: Any) -> int | None:
    """The tokens that the answer to a prompt names."""
    total = _dict(_dict(answer).get("usage")).get("totalTokens")
    return total if isinstance(total, int) and 0 <= total < 2**63 else None
