"""From what a backend said of a provider's limit to the seconds until it is over.

The wordings are those that programs are known to print: a header or a field with seconds, a
duration ("try again in 7m12s"), a moment (seconds since 1970, ISO 8601, a time of day with or
without its date and its zone). What cannot be read is None, and never an error.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from oya.lifecycle.failures import FailureClass

LONGEST = 24 * 3600.0
"""A limit that lasts longer is looked at again after this."""
BELIEVED = 31 * 24 * 3600.0
"""No provider's window is longer: what says so is not understood."""
JUST_OVER = 3600.0
"""A time of day that passed less than this ago is over, and not meant for tomorrow."""

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 24 * 3600.0}

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_ENDINGS = r"(?:(?<=s)ec(?:ond)?s?|(?<=m)in(?:ute)?s?|(?<=h)(?:ou)?rs?|(?<=d)ays?)?"
_PART = rf"{_NUMBER}\s?(ms|[smhd]){_ENDINGS}(?![a-z])"
_PARTS = re.compile(_PART, re.IGNORECASE)
_IN = re.compile(
    r"(?:retry[-_ ]?(?:after|delay|in)|try again (?:in|after)|resets? (?:in|after))"
    rf"[\"':=\s]{{1,6}}(?:about )?((?:{_PART}(?:[\s,]|and){{0,5}})+)",
    re.IGNORECASE,
)
_SECONDS = re.compile(
    r"(?:retry[-_ ]?after|resets?_?in)(?:[-_]?seconds)?[\"']?\s?[:=]\s?[\"']?"
    rf"{_NUMBER}(?![\w:/-]|\.\d)",
    re.IGNORECASE,
)
_AT = r"(?:resets?(?:[-_ ]?at)?|try again at|limit reached)[\"':=|\s]{1,6}"
_EPOCH = re.compile(_AT + r"(\d{10})(?:\d{3})?\b", re.IGNORECASE)
_ISO = re.compile(
    _AT + r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    _AT + rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]* (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? "
    r"(?:(?P<year>\d{4}),? )?(?:at )?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s?(?P<half>[ap]m)?(?![\w:])"
    r"(?: \(?(?P<zone>UTC|[a-z_]+/[\w+/-]+))?",
    re.IGNORECASE,
)


def resets_in(
    failure: FailureClass | None, said: str, now: datetime, here: tzinfo | None = None
) -> float | None:
    """Seconds until a provider's limit is over, a day at most; None where that is not said.

    Of several moments the one named last counts. A time of day without a zone is one of `here`
    (None: of this machine).
    """
    if failure is not FailureClass.PROVIDER_LIMIT:
        return None
    now = now.astimezone(here)
    for pattern, read in _FORMS:
        found = deque(pattern.finditer(said), maxlen=1)
        if found:
            seconds = _read(read, found[0], now)
            return min(seconds, LONGEST) if 0 < seconds <= BELIEVED else None
    return None


def _read(read: _Reader, found: re.Match[str], now: datetime) -> float:
    try:
        return read(found, now)
    except (ValueError, KeyError, OverflowError, OSError):  # no such date, no such zone
        return 0.0


def _duration(found: re.Match[str], now: datetime) -> float:
    parts = _PARTS.findall(found[1])
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in parts)


def _seconds(found: re.Match[str], now: datetime) -> float:
    return float(found[1])


def _epoch(found: re.Match[str], now: datetime) -> float:
    return int(found[1]) - now.timestamp()


def _iso(found: re.Match[str], now: datetime) -> float:
    moment = datetime.fromisoformat(found[1])
    return _left(moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo), now)


def _clock(found: re.Match[str], now: datetime) -> float:
    here = now.astimezone(ZoneInfo(found["zone"]) if found["zone"] else now.tzinfo)
    at = here.replace(hour=_hour(found), minute=int(found["minute"] or 0), second=0, microsecond=0)
    if found["month"] is None:
        over = _left(at, now) <= -JUST_OVER
        return _left(at + timedelta(days=1) if over else at, now)
    month = _MONTHS.index(found["month"].lower()) + 1
    at = at.replace(int(found["year"] or here.year), month, int(found["day"]))
    next_year = found["year"] is None and _left(at, now) < -BELIEVED
    return _left(at.replace(here.year + 1) if next_year else at, now)


def _hour(found: re.Match[str]) -> int:
    hour, half = int(found["hour"]), found["half"]
    if half is None and found["minute"] is None:
        raise ValueError("a number alone is no time of day")
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("no hour before or after noon")
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _left(moment: datetime, now: datetime) -> float:
    return (moment - now).total_seconds()


_Reader = Callable[[re.Match[str], datetime], float]
_FORMS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (_IN, _duration),
    (_SECONDS, _seconds),
    (_EPOCH, _epoch),
    (_ISO, _iso),
    (_CLOCK, _clock),
)
