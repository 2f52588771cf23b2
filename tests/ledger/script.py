"""What a ledger does otherwise than well, said per step, phase and attempt.

The first rule that fits a request counts. Everything composes: whether the
effect happens, how long before and after it is waited, and how the answer ends.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.ledger.book import Asked

ANY = "*"
ENDS = ("reply", "reset", "close", "half", "garbage", "huge", "silence", "drip")
HUGE_BYTES = 64 * 1024 * 1024
CALLBACK_KEYS = ("after_ms", "is_before_reply", "times", "token", "body")


@dataclass(frozen=True)
class Rule:
    """One rule.

    `has_effect` false: nothing happens, whatever is answered. `delay_ms` is
    waited before the effect and `hold_ms` after it. `end` says how the answer
    ends, `status`, `headers` and `body` what it says (None: as it would be
    without a rule). `callbacks` are made by whoever was told where to call.
    """

    step: str = ANY
    phase: str = ANY
    attempts: tuple[int, ...] = ()  # empty: every attempt
    run: str = ANY
    about: str = ""  # text that the path or the body holds, such as an order's number
    has_effect: bool = True
    delay_ms: int = 0
    hold_ms: int = 0
    end: str = "reply"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    callbacks: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        assert self.end in ENDS, self.end
        assert all(key in CALLBACK_KEYS for one in self.callbacks for key in one), self.callbacks

    def fits(self, asked: Asked) -> bool:
        return (
            self.step in {ANY, asked.step}
            and self.phase in {ANY, asked.phase}
            and self.run in {ANY, asked.run}
            and (not self.attempts or asked.attempt in self.attempts)
            and (self.about in asked.path or self.about.encode() in asked.body)
        )

    def said(self) -> dict[str, Any]:
        """Return the rule as JSON can hold it."""
        return asdict(self)

    @classmethod
    def read(cls, said: dict[str, Any]) -> Rule:
        """Read it back.

        Raises:
            TypeError: it has a key that no rule has.
        """
        lists = {name: tuple(said[name]) for name in ("attempts", "callbacks") if name in said}
        return cls(**said | lists)


WELL = Rule()


def reply_lost(**where: Any) -> Rule:
    """The effect happens and the connection is reset before a word of the answer."""
    return Rule(end="reset", **where)


def reset_before(**where: Any) -> Rule:
    """The connection is reset and nothing happens."""
    return Rule(has_effect=False, end="reset", **where)


def late(ms: int, **where: Any) -> Rule:
    """The effect happens at once, and the answer comes `ms` later."""
    return Rule(hold_ms=ms, **where)


def slow(ms: int, **where: Any) -> Rule:
    """The effect itself happens `ms` later: perhaps after its compensation."""
    return Rule(delay_ms=ms, **where)


def error(status: int, *, has_effect: bool = False, retry_after: str = "", **where: Any) -> Rule:
    """The answer is an error, with or without the effect."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Rule(
        has_effect=has_effect, status=status, headers=headers, body={"detail": f"told to say {status}"}, **where
    )


def refusal(**where: Any) -> Rule:
    """A business refusal, said explicitly; nothing happens."""
    return Rule(
        has_effect=False, status=422, headers={"Saga-Outcome": "rejected"}, body={"detail": "told to refuse"}, **where
    )


def accepted(*callbacks: dict[str, Any], **where: Any) -> Rule:
    """202, and then these callbacks, `{after_ms, is_before_reply, times, token: wrong, body}`, or none ever."""
    return Rule(status=202, callbacks=callbacks, **where)
