"""The expression language, behind our own small interface. Only this module knows the library.

CEL (Common Expression Language, `cel-expr-python`) does no input or output and
counts the turns of its loops. What its own bounds leave open is closed here:
values that it would silently change are refused on the way in, results are taken
over level by level under a byte budget, and text cannot grow inside loops.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from sagas.core.limits import EXPRESSION_PLUSES_MAX, JSON_DEPTH_MAX, LOOP_ENTRIES_MAX, LOOPS_MAX, PAYLOAD_BYTES_MAX
from sagas.core.sealed import LOST, Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.vocabulary import Json

INT64: Final = range(-(2**63), 2**63)

# Comments, raw texts and texts, in one pattern: whichever begins first hides the others.
NOT_CODE = re.compile(
    r"""//[^\n]*
    |(?:[rR][bB]?|[bB][rR])(?:"{3}.*?"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
    |[bB]?(?:"{3}(?:\\.|[^\\])*?"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE,
)
_MACRO = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one|existsOne|optMap|optFlatMap)\s*\(", re.ASCII)
_BUILDING = re.compile(r"\.\s*(?:map|filter)\s*\(", re.ASCII)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_ERROR = re.compile(r"ERROR: <input>:\d+:\d+: (.*)")
_JSON_TYPES = "text, numbers, true, false, null, lists and objects"


class ExpressionError(Exception):
    """An expression has no value here, or one that is not JSON."""


class CompileError(Exception):
    """Text is not an expression; `undeclared` lists the names it reads that do not exist, if that is why."""

    def __init__(self, message: str, undeclared: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.undeclared = undeclared


def checked(value: Json) -> Json:
    """Return `value` unchanged when CEL can hold it; the library would cut, change or mis-handle the rest.

    Raises:
        ExpressionError: a hidden value that could not be opened, U+0000, a lone surrogate,
            an integer beyond 64 bits, or a number that is not finite.
    """
    if isinstance(value, str):
        if isinstance(value, Hidden):
            raise ExpressionError(LOST)
        if "\0" in value:
            raise ExpressionError("text contains U+0000")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ExpressionError("text contains a lone surrogate") from None
    elif isinstance(value, dict):
        for key, part in value.items():
            checked(key)
            checked(part)
    elif isinstance(value, list):
        for part in value:
            checked(part)
    elif isinstance(value, int) and not isinstance(value, bool) and value not in INT64:
        raise ExpressionError("a whole number is beyond 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("a number is not finite")
    return value


class Program:
    """One compiled expression. `names` are those it may read: perhaps too many, never too few."""

    __slots__ = ("_builds_lists", "_expression", "_has_loops", "names", "text")

    def __init__(self, text: str, code: str, expression: cel.Expression, names: frozenset[str]) -> None:
        self.text = text
        self.names = names
        self._expression = expression
        self._has_loops = _MACRO.search(code) is not None
        self._builds_lists = _BUILDING.search(code) is not None

    def evaluate(self, moment: Moment) -> Json:
        """Return the value under the names of `moment`.

        Raises:
            ExpressionError: there is no value, or it is not JSON, or it is too large.
        """
        try:
            if self._has_loops:
                self._pay(moment)
            return _plain_json(self._expression.eval(activation=moment.activation), _Budget())
        except (ExpressionError, RuntimeError, TypeError, ValueError) as error:  # the library's own limits are these
            raise ExpressionError(f"`${{{self.text}}}`: {error}") from None

    def _pay(self, moment: Moment) -> None:
        """Take what this program's loops may cost from what all loops of one value may cost together.

        The library takes time and memory by the square of a list that `map` or
        `filter` builds, and gives the memory back only after the last program.
        """
        entries = max(map(moment.entries_max, self.names), default=0)
        if self._builds_lists and entries > LOOP_ENTRIES_MAX:
            raise ExpressionError(
                f"`map` and `filter` work on values whose lists have at most {LOOP_ENTRIES_MAX} entries"
            )
        moment.loops_left -= entries * entries // LOOP_ENTRIES_MAX if self._builds_lists else entries
        if moment.loops_left < 0:
            raise ExpressionError("the loops of this value's expressions take too long together")


class Moment:
    """Values of names, converted once for several programs, and how much their loops may still cost together."""

    __slots__ = ("_entries", "activation", "loops_left", "values")

    def __init__(self, values: dict[str, Json], activation: cel.Activation) -> None:
        self.values = values
        self.activation = activation
        self.loops_left = LOOPS_MAX * LOOP_ENTRIES_MAX
        self._entries: dict[str, int] = {}

    def entries_max(self, name: str) -> int:
        """Return the length of the longest list or object that a name holds."""
        if name not in self._entries:
            self._entries[name] = _entries_max(self.values[name])
        return self._entries[name]


class Environment:
    """The names that expressions may use. One variable per dotted name, so a misspelling is found when compiling."""

    def __init__(self, declared: Mapping[str, bool]) -> None:
        """Declare names; the value says whether one is always text."""
        kinds = {name: cel.Type.STRING if is_text else cel.Type.DYN for name, is_text in declared.items()}
        self._env = cel.NewEnv(variables=kinds, extensions=[ext_optional.ExtOptional()])
        self._names = tuple(declared)

    def compile(self, text: str) -> Program:
        """Compile one expression.

        Raises:
            CompileError: it is not one, names something undeclared, or could grow without a bound.
        """
        code = NOT_CODE.sub("''", text)
        if why := _why_unbounded(code):
            raise CompileError(why)
        try:
            expression = self._env.compile(text)
        except (RuntimeError, UnicodeError) as error:
            said = [line.replace(" (in container '')", "") for line in _ERROR.findall(str(error))]
            message = "; ".join(said) or str(error)
            raise CompileError(message, tuple(dict.fromkeys(_UNDECLARED.findall(str(error))))) from None
        dense = re.sub(r"\s+", "", code.replace("''", ""))
        names = frozenset(name for name in self._names if name in dense)
        return Program(text, code, expression, names)

    def moment(self, values: dict[str, Json]) -> Moment:
        """Return values for programs to be evaluated under.

        Raises:
            ExpressionError: a value that the library would change.
        """
        return Moment(values, self._env.Activation(checked(values)))


class _Budget:
    """What one result may still hold, in bytes. Shared parts count each time, as they would be copied."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = PAYLOAD_BYTES_MAX

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ExpressionError(f"the result is larger than {PAYLOAD_BYTES_MAX // 1024} KiB")


def _plain_json(value: Any, budget: _Budget, depth: int = 0) -> Json:
    """Convert a CEL value level by level, so that a small program cannot unfold into a huge result."""
    kind = value.type()
    if kind == cel.Type.ERROR:
        raise ExpressionError(str(value.plain_value()))
    if kind == cel.Type.NULL:  # never ask the library for a null: each one steals a reference to None (0.1.3, 3.11)
        budget.spend(4)
        return None
    if depth > JSON_DEPTH_MAX:
        raise ExpressionError(f"the result is nested deeper than {JSON_DEPTH_MAX}")
    plain = value.value()
    if isinstance(plain, bool):
        budget.spend(4)
        return plain
    if isinstance(plain, str):
        budget.spend(len(plain) + 2)
        return plain
    if isinstance(plain, int | float):
        budget.spend(4)
        return checked(plain)
    if isinstance(plain, list):
        budget.spend(2 + len(plain))
        return [_plain_json(part, budget, depth + 1) for part in plain]
    if isinstance(plain, dict):
        for key in plain:
            if not isinstance(key, str):
                raise ExpressionError("the result is an object with a key that is not text")
            budget.spend(len(key) + 4)
        return {key: _plain_json(plain[key], budget, depth + 1) for key in sorted(plain)}
    raise ExpressionError(f"the result is a {type(plain).__name__}, which JSON does not know ({_JSON_TYPES})")


def _why_unbounded(code: str) -> str:
    """Return why the library's budget would not bound `code`: it counts turns of loops, not the growth of text."""
    pluses = code.count("+")
    if pluses and _MACRO.search(code):
        return "`+` cannot be used together with map, filter, all or exists: text and lists could grow without a bound."
    if pluses > EXPRESSION_PLUSES_MAX:
        return f"`+` is used more than {EXPRESSION_PLUSES_MAX} times."
    return ""


def _entries_max(value: Json) -> int:
    """Return the length of the longest list or object in `value`."""
    if isinstance(value, dict):
        return max(len(value), *map(_entries_max, value.values()), 0)
    if isinstance(value, list):
        return max(len(value), *map(_entries_max, value), 0)
    return 0
