"""Every error oya raises on purpose, one tree.

    OyaError                     exit 1
    ├── UsageError               exit 2: what was typed or configured cannot be done
    │   ├── ConfigError          .oya/swarm.toml, a flag
    │   ├── RepositoryUnfit      this repository cannot be worked on
    │   ├── TrackerError         the backlog cannot be read
    │   └── RefusedError         this state and this event do not go together
    ├── BaseRed                  exit 1: the tests fail before anybody has touched anything
    ├── SwarmFailed              exit 4: meltdown
    ├── DaemonSilent             exit 6: a daemon holds the lock and does not answer
    ├── StoreError
    │   ├── StoreLocked          another process holds the state
    │   ├── StoreDamaged         the state is not what was acknowledged; refused
    │   ├── StoreNewer           written by a newer oya; refused, untouched
    │   └── StoreUnavailable     the engine does not take writes now (disk full, read-only)
    ├── GitError                 a git command failed
    │   └── RemoteError          a remote cannot be reached, or does not answer as one
    │       └── PushUnsure       whether a push has arrived is not known yet
    ├── ProcessError             a program could not be started
    ├── NoRoom                   disk or memory are short: no verdict, nobody's failure
    ├── NoSlot                   all slots were taken for too long: no verdict, nobody's failure
    ├── PrepareFailed            [workspace] prepare failed, so that nothing can run there
    ├── BackendError             a backend broke the protocol, died, or its provider refused
    └── ActorError
        ├── ActorDead            the message was not delivered, and is given back
        ├── MailboxFull          the message was not delivered, and is given back
        └── AskTimeout           no answer within the deadline; the message may have been handled

A message has up to three sentences: what happened, what is still safe, what to
type next. The first is the exception's text, the others are its attributes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class OyaError(Exception):
    """Something went wrong, and oya knows what."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str = "", *, safe: str = "", hint: str = "") -> None:
        super().__init__(what or (type(self).__doc__ or "").strip())
        self.safe = safe
        self.hint = hint

    def lines(self) -> list[str]:
        """What to print for a person: what happened, what is safe, what to type next."""
        return [part for part in (str(self), self.safe, self.hint) if part]


class UsageError(OyaError):
    """What was typed or configured cannot be done."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is wrong."""


class RepositoryUnfit(UsageError):
    """This repository cannot be worked on."""


class TrackerError(UsageError):
    """The backlog cannot be read."""


class RefusedError(UsageError):
    """The bead is not in a state that allows this."""


class BaseRed(OyaError):
    """The tests fail on the untouched base."""


class SwarmFailed(OyaError):
    """The swarm melted down."""

    exit_code = 4


class DaemonSilent(OyaError):
    """A daemon holds the lock and does not answer."""

    exit_code = 6


class StoreError(OyaError):
    """The state could not be read or written."""


class StoreLocked(StoreError):
    """Another process holds the state of this repository."""


class StoreDamaged(StoreError):
    """The state is not what was acknowledged."""


class StoreNewer(StoreError):
    """The state was written by a newer oya."""


class StoreUnavailable(StoreError):
    """The state cannot be written now."""


class GitError(OyaError):
    """A git command failed."""


class RemoteError(GitError):
    """A remote could not be reached; nothing is known of it now."""


class PushUnsure(RemoteError):
    """Whether the push has arrived is not known; the same commit may be pushed again."""


class ProcessError(OyaError):
    """A program could not be started."""


class NoRoom(OyaError):
    """Disk or memory are short, so that nothing can be judged."""


class NoSlot(OyaError):
    """All slots were taken for too long, so that nothing was judged."""


class PrepareFailed(OyaError):
    """`[workspace] prepare` failed, twice in a row, in a folder that had room for it.

    `line` is the command that failed, `exit` its exit code (None: a signal or its timeout has
    ended it), `output` the relevant part of what it said, `seconds` what all of it took.
    """

    def __init__(
        self,
        what: str = "",
        *,
        line: str,
        exit: int | None,
        output: str = "",
        seconds: float = 0.0,
        safe: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, safe=safe, hint=hint)
        self.line = line
        self.exit = exit
        self.output = output
        self.seconds = seconds

    @property
    def told(self) -> str:
        """For an agent: what failed, and what it said."""
        how = "was cut short" if self.exit is None else f"exited with {self.exit}"
        return f"`{self.line}` ([workspace] prepare) {how}\n{self.output}".rstrip()


class BackendError(OyaError):
    """A backend broke the protocol, died, or was refused by its provider."""


class ActorError(OyaError):
    """An actor could not be reached."""


class ActorDead(ActorError):
    """The actor has ended; the message was not delivered.

    `message` is what was not sent.
    """

    def __init__(self, what: str = "", message: Any = None) -> None:
        super().__init__(what or "the actor has ended; the message was not delivered")
        self.message = message


class MailboxFull(ActorError):
    """The mailbox stayed full until the deadline; the message was not delivered.

    `message` is what was not sent.
    """

    def __init__(self, what: str = "", message: Any = None) -> None:
        super().__init__(what or "the mailbox stayed full; the message was not delivered")
        self.message = message


class AskTimeout(ActorError):
    """No answer within the deadline; the message may or may not have been handled."""
