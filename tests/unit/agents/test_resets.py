"""When a provider's limit is over, from what backends are known to print."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.agents.resets import BELIEVED, LONGEST, resets_in
from oya.lifecycle.failures import FailureClass

LIMIT = FailureClass.PROVIDER_LIMIT
HERE = timezone(timedelta(hours=2))
NOW = datetime(2026, 9, 28, 14, 30, tzinfo=HERE)
SECOND, MINUTE, HOUR = 1.0, 60.0, 3600.0
EPOCH = int(NOW.timestamp())


def wait(said: str, now: datetime = NOW) -> float | None:
    return resets_in(LIMIT, said, now, HERE)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached for gpt-5. Please try again in 20s.", 20),
        ("Rate limit reached for gpt-5. Please try again in 5.202s. Visit …", 5.202),
        ("Please try again in 898ms.", 0.898),
        ("Please try again in 7m12s.", 7 * MINUTE + 12),
        ("Please try again in 1h2m3.5s", HOUR + 2 * MINUTE + 3.5),
        ("try again in 2h 3m", 2 * HOUR + 3 * MINUTE),
        ("You've hit your usage limit. Try again in 3 hours and 5 minutes.", 3 * HOUR + 5 * MINUTE),
        ("or try again in 22 hours 11\nminutes.", 22 * HOUR + 11 * MINUTE),
        ("Your quota will reset after 12h34m16s.", 12 * HOUR + 34 * MINUTE + 16),
        ("Please retry in 47.434392449s.", 47.434392449),
        ("Please retry after 6 seconds.", 6),
        ("Codex usage limit reached. The session limit resets in 3h 20m.", 3 * HOUR + 20 * MINUTE),
        ('{"@type": "google.rpc.RetryInfo", "retryDelay": "38s"}', 38),
        ("{'status': 429, 'retry-after': '20'}", 20),
        ("HTTP 429\nRetry-After: 120\nServer: x", 120),
        ("{'type': 'usage_limit_reached', 'resets_in_seconds': 5294}", 5294),
    ],
)
def test_seconds_and_durations(said: str, seconds: float) -> None:
    assert wait(said) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (f"Claude AI usage limit reached|{EPOCH + 1800}", 1800),
        (f"Claude AI usage limit reached|{EPOCH + 1800}000", 1800),
        (f"{{'resets_at': {EPOCH + 90}, 'plan_type': 'free'}}", 90),
        ("{'resetsAt': '2026-09-28T12:31:30Z'}", 90),
        ("resets at 2026-09-28T14:31:30+02:00", 90),
        ("resets at 2026-09-28 14:45", 15 * MINUTE),
        ("5-hour limit reached ∙ resets 3pm", 30 * MINUTE),
        ("You've hit your session limit · resets 8:30pm (Asia/Tokyo)", 23 * HOUR),
        ("You've hit your session limit · resets 9:50pm (Asia/Tokyo)", 20 * MINUTE),
        ("Claude usage limit reached. Your limit will reset at 8am (Etc/GMT+5).", 30 * MINUTE),
        ("You've hit your limit · resets 1pm (UTC)", 30 * MINUTE),
        ("You've hit your usage limit. Please try again at 11:05 PM.", 8 * HOUR + 35 * MINUTE),
        ("try again at 3:00\u202fPM", 30 * MINUTE),
        ("try again at 12:30 AM", 10 * HOUR),
        ("resets 23:05", 8 * HOUR + 35 * MINUTE),
        ("resets 9:30", 19 * HOUR),
        ("Please try again at Sep 29th, 2026 12:55 AM.", 10 * HOUR + 25 * MINUTE),
        ("or try again at Sep 28, 2026, 7:38 PM", 5 * HOUR + 8 * MINUTE),
        ("You've hit your weekly limit · resets Sep 29, 1pm (Europe/Berlin)", 22.5 * HOUR),
    ],
)
def test_moments(said: str, seconds: float) -> None:
    assert wait(said) == seconds


def test_a_date_without_its_year_may_be_of_the_next() -> None:
    eve = datetime(2026, 12, 31, 20, tzinfo=UTC)
    assert wait("resets Jan 1, 6am (UTC)", eve) == 10 * HOUR


@pytest.mark.parametrize(
    "said", ["try again in 5 days 22 hours 11 minutes", "Retry-After: 604800", "resets Oct 6, 1pm"]
)
def test_what_lasts_longer_than_a_day_is_looked_at_again_after_one(said: str) -> None:
    assert wait(said) == LONGEST


def test_of_several_moments_the_last_counts() -> None:
    assert wait("Please try again in 1s. Please try again in 20s.") == 20 * SECOND


@pytest.mark.parametrize(
    "said",
    [
        "",
        "exceeded retry limit, last status: 429 Too Many Requests",
        "Please try again later.",
        "try again in a while",
        "try again in 3 moons",
        "we retry after 5 attempts",
        "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",
        "Retry-After: 0",
        "Retry-After: -5",
        "Retry-After: 99999999",
        "Retry-After: 999999999999999",
        "try again in 99999 days",
        "resets 3",
        "resets 25:00",
        "resets 13pm",
        "resets 0:75",
        "resets Mon 12:00 AM",
        "resets Feb 30, 3pm",
        "resets 3pm (Nowhere/Atlantis)",
        "resets 3pm (America/Argentina)",
        "try again at 10 de jul. de 2026, 11:52",
        f"usage limit reached|{EPOCH - 1}",
        f"usage limit reached|{EPOCH}99",
        "resets at 2026-13-01T00:00:00Z",
        "resets at 2026-09-27T00:00:00Z",
    ],
)
def test_what_is_not_understood_or_over_is_not_known(said: str) -> None:
    assert wait(said) is None


def test_a_time_of_day_that_has_just_passed_is_not_meant_for_tomorrow() -> None:
    """A day would be lost, because a clock is a little ahead."""
    said = "5-hour limit reached ∙ resets 2pm"
    assert wait(said) is None
    assert wait(said, NOW + timedelta(hours=1)) == 22.5 * HOUR


@pytest.mark.parametrize("failure", [None, *sorted({*FailureClass} - {LIMIT})])
def test_only_a_limit_has_an_end(failure: FailureClass | None) -> None:
    assert resets_in(failure, "try again in 20s", NOW) is None


LEADS = ("retry-after: ", "try again in ", "try again at ", "resets ", "limit reached|", "")


@given(st.lists(st.sampled_from(LEADS) | st.text(max_size=20) | st.integers().map(str), max_size=9))
def test_any_text_has_a_wait_within_bounds_or_none(parts: list[str]) -> None:
    found = wait("".join(parts))
    assert found is None or 0 < found <= LONGEST < BELIEVED
