"""Reading one mapping of a document: each key with its type, its bounds, and a sentence when it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core.definition import RetryPolicy
from sagas.core.duration import duration_text, parse_duration_s
from sagas.core.expressions import TemplateInvalidError, compile_template
from sagas.core.limits import RETRY_ATTEMPTS_MAX, RETRY_FACTOR_MAX, RETRY_WAIT_S_MAX, TIMEOUT_S_MAX, TIMEOUT_S_MIN
from sagas.core.problem import found_text, hint

if TYPE_CHECKING:
    from collections.abc import Collection

    from sagas.core.expressions import CompiledTemplate, Names
    from sagas.core.problem import Path, Report
    from sagas.core.vocabulary import Json

RETRY_KEYS = ("attempts", "initial", "factor", "max", "jitter")

DURATION = "a duration such as 250ms, 10s, 5m, 2h, 1d or PT1H30M"


class Fields:
    """A mapping of the document. Unknown keys are reported at once; the rest when they are asked for."""

    def __init__(
        self,
        value: Json,
        path: Path,
        report: Report,
        *,
        what: str,
        known: Collection[str],
        of_others: tuple[str, Collection[str]] = ("", ()),
    ) -> None:
        """Begin to read `value`, which should be `what`.

        `of_others` says which other kind there is, and the keys that it has.
        """
        self.path = path
        self.report = report
        self.what = what
        self.is_mapping = isinstance(value, dict)
        self._value: dict[str, Json] = value if isinstance(value, dict) else {}
        if not self.is_mapping:
            report.error(path, "wrong_type", f"{what} must be a mapping of keys to values; found {found_text(value)}.")
        for key in self._value:
            if key not in known and key in of_others[1]:
                self.error(key, "other_style", f"only the style {of_others[0]} has `{key}`.", at_key=True)
            elif key not in known:
                nearest = hint(key, known)
                self.error(key, "unknown_key", f"`{key}` is not a key of {what}.{nearest}", at_key=True)

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def raw(self, key: str) -> Json:
        """Return the value as written, None when the key is not there."""
        return self._value.get(key)

    def at(self, key: str) -> Path:
        """Return where the key's value stands."""
        return (*self.path, key)

    def error(self, key: str, code: str, message: str, *, at_key: bool = False) -> None:
        """Report an error at one key."""
        self.report.error(self.at(key), code, message, at_key=at_key)

    def missing(self, key: str, why: str) -> None:
        """Report a key that must be there."""
        self.report.error(self.at(key), "required", f"`{key}` is missing: {why}")

    def _wrong(self, key: str, expected: str) -> None:
        self.error(key, "wrong_value", f"`{key}` must be {expected}; found {found_text(self._value[key])}.")

    def text(self, key: str, default: str = "", *, length_max: int) -> str:
        """Return a text of at most `length_max` characters."""
        if key not in self._value:
            return default
        value = self._value[key]
        if not isinstance(value, str):
            self._wrong(key, "text")
            return default
        if len(value) > length_max:
            self.error(key, "too_long", f"`{key}` has {len(value)} characters; at most {length_max} are allowed.")
        return value

    def name(self, key: str, pattern: re.Pattern[str], expected: str, why: str) -> str:
        """Return a text that must be there and match `pattern`; what was found when it does not."""
        if key not in self._value:
            self.missing(key, why)
            return ""
        value = self._value[key]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self._wrong(key, expected)
        return value if isinstance(value, str) else ""

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of `choices`; the first when the key is not there."""
        value = self._value.get(key, choices[0])
        if value not in choices:
            self._wrong(key, " or ".join(f"`{choice}`" for choice in choices))
            return choices[0]
        return str(value)

    def flag(self, key: str) -> bool:
        """Return true or false; false when the key is not there."""
        value = self._value.get(key, False)
        if not isinstance(value, bool):
            self._wrong(key, "true or false")
            return False
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number within bounds."""
        if key not in self._value:
            return default
        value = self._value[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._wrong(key, f"a number from {low:g} to {high:g}")
            return default
        return float(value)

    def duration_s(self, key: str, default: float, low_s: float, high_s: float) -> float:
        """Return a length of time in seconds."""
        if key not in self._value:
            return default
        value = self._value[key]
        seconds = parse_duration_s(value) if isinstance(value, str) else None
        if seconds is None:
            self._wrong(key, DURATION)
            return default
        if not low_s <= seconds <= high_s:
            self._wrong(key, f"between {duration_text(low_s)} and {duration_text(high_s)}")
            return default
        return seconds

    def timeout_s(self, default: float) -> float:
        """Return the key `timeout`, in seconds."""
        return self.duration_s("timeout", default, TIMEOUT_S_MIN, TIMEOUT_S_MAX)

    def template(self, key: str, names: Names) -> CompiledTemplate | None:
        """Return the value with its `${…}` compiled; None when the key is not there or something in it is wrong."""
        return None if key not in self._value else template(self._value[key], self.at(key), names, self.report)

    def retry(self, key: str, base: RetryPolicy) -> RetryPolicy:
        """Return a retry policy: what is not said here is as in `base`."""
        if key not in self._value:
            return base
        policy = Fields(self._value[key], self.at(key), self.report, what="a retry policy", known=RETRY_KEYS)
        attempts = policy.raw("attempts") if "attempts" in policy else base.attempts
        if attempts == "forever":
            attempts = None
        elif "attempts" in policy and (
            isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= RETRY_ATTEMPTS_MAX
        ):
            policy._wrong("attempts", f"a whole number from 1 to {RETRY_ATTEMPTS_MAX}, or `forever`")
            attempts = base.attempts
        found = RetryPolicy(
            attempts=attempts,
            initial_s=policy.duration_s("initial", base.initial_s, 0.0, RETRY_WAIT_S_MAX),
            factor=policy.number("factor", base.factor, 1, RETRY_FACTOR_MAX),
            wait_s_max=policy.duration_s("max", base.wait_s_max, 0.0, RETRY_WAIT_S_MAX),
            jitter=policy.number("jitter", base.jitter, 0, 1),
        )
        if found.initial_s > found.wait_s_max:
            at = "max" if "max" in policy else "initial"
            first, longest = duration_text(found.initial_s), duration_text(found.wait_s_max)
            message = f"`initial` ({first}) is longer than `max` ({longest})."
            policy.error(at, "wrong_value", message)
        return found


def template(source: Json, path: Path, names: Names, report: Report) -> CompiledTemplate | None:
    """Compile `source`; None after reporting what is wrong in it."""
    try:
        return compile_template(source, names)
    except TemplateInvalidError as error:
        for fault in error.faults:
            report.error((*path, *fault.path), fault.code, fault.message)
        return None
