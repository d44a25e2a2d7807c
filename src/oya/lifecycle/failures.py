"""Every failure has a class; the class decides, never a generic retry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """Why an attempt ended without a result."""

    AGENT_CRASH = "agent_crash"
    AGENT_STUCK = "agent_stuck"
    AGENT_EMPTY = "agent_empty"
    GATE_RED = "gate_red"
    CONTRACT_BROKEN = "contract_broken"
    CONFLICT = "conflict"
    CANCELLED = "cancelled"
    PROVIDER_LIMIT = "provider_limit"
    PROVIDER_DOWN = "provider_down"
    AUTH = "auth"
    HOST_PRESSURE = "host_pressure"
    BASE_RED = "base_red"
    INTERNAL = "internal"


class Measure(StrEnum):
    """What is done about a failure, beside requeueing the bead."""

    NONE = "none"
    RESTART_AGENT = "restart_agent"
    PARK_BACKEND = "park_backend"
    OPEN_CIRCUIT = "open_circuit"
    DISABLE_BACKEND = "disable_backend"
    WAIT_FOR_HOST = "wait_for_host"
    PAUSE_CLAIMS = "pause_claims"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a failure class means.

    `counts`: it uses up an attempt. `melts`: it counts towards meltdown. `fresh`: the next
    attempt begins from the last accepted head instead of the snapshot.
    """

    counts: bool
    melts: bool = False
    fresh: bool = False
    measure: Measure = Measure.NONE


RULES: dict[FailureClass, Rule] = {
    FailureClass.AGENT_CRASH: Rule(counts=True, melts=True, measure=Measure.RESTART_AGENT),
    FailureClass.AGENT_STUCK: Rule(counts=True, melts=True, measure=Measure.RESTART_AGENT),
    FailureClass.AGENT_EMPTY: Rule(counts=True, melts=True),
    FailureClass.GATE_RED: Rule(counts=True, fresh=True),
    FailureClass.CONTRACT_BROKEN: Rule(counts=True, fresh=True),
    FailureClass.CONFLICT: Rule(counts=False),
    FailureClass.CANCELLED: Rule(counts=False),
    FailureClass.PROVIDER_LIMIT: Rule(counts=False, measure=Measure.PARK_BACKEND),
    FailureClass.PROVIDER_DOWN: Rule(counts=False, measure=Measure.OPEN_CIRCUIT),
    FailureClass.AUTH: Rule(counts=False, measure=Measure.DISABLE_BACKEND),
    FailureClass.HOST_PRESSURE: Rule(counts=False, measure=Measure.WAIT_FOR_HOST),
    FailureClass.BASE_RED: Rule(counts=False, measure=Measure.PAUSE_CLAIMS),
    FailureClass.INTERNAL: Rule(counts=False, melts=True, measure=Measure.RESTART_AGENT),
}
