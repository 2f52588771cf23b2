"""`${…}` in documents: JSON values whose strings hold expressions, compiled once and rendered often.

Three ways to render, cheapest first:

- no `${`: the value itself, which the caller must not change;
- a plain path (`${input.order_id}`): our own walk through dicts and nothing else;
- all else: CEL.

A string that is one `${…}` keeps the type of the value. In longer text, strings
are put in as they are, numbers and booleans as JSON; null, lists and objects
are errors there, since half an address or half a key is worse than none.
`$${` is a literal `${`. Keys of objects hold no expressions.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.cel import NOT_CODE, CompileError, ExpressionError, Moment, Program, checked
from sagas.core.limits import EXPRESSION_LENGTH_MAX, EXPRESSIONS_PER_VALUE_MAX, KIB, PAYLOAD_BYTES_MAX, PROBLEMS_MAX
from sagas.core.names import Names, words_of
from sagas.core.problem import check_payload
from sagas.core.sealed import LOST, Hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sagas.core.vocabulary import Json

__all__ = [
    "CompiledTemplate",
    "ExpressionError",
    "Fault",
    "Names",
    "TemplateInvalidError",
    "checked",
    "compile_template",
]

_PLAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_LITERALS = frozenset({"true", "false", "null"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one expression: where in the value, a stable code, a sentence."""

    path: tuple[str | int, ...]
    code: str
    message: str


class TemplateInvalidError(Exception):
    """Some expressions of a value cannot be compiled; `faults` lists all of them."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


class _Rendering:
    """One rendering: the scope, and the values that all its CEL expressions share."""

    __slots__ = ("_left", "_moment", "_template", "_tick", "scope")

    def __init__(self, scope: Mapping[str, Json], template: CompiledTemplate) -> None:
        self.scope = scope
        self._left = PAYLOAD_BYTES_MAX
        self._template = template
        self._moment: Moment | None = None
        self._tick = getattr(scope, "tick", None)

    def put_in(self, value: Json) -> Json:
        """Return `value`, which becomes part of the result; refused while it is cheap when that grows too large.

        A value may be put in at many places at no cost, and be written out as often later.
        """
        todo = [value]
        while todo:
            part = todo.pop()
            if isinstance(part, Hidden):
                raise ExpressionError(LOST)
            self._left -= len(part) if isinstance(part, str) else 1
            if self._left < 0:
                message = f"the result is larger than {PAYLOAD_BYTES_MAX // KIB} KiB"
                raise ExpressionError(message)
            if isinstance(part, dict):
                todo.extend(part.values())
            elif isinstance(part, list):
                todo.extend(part)
        return value

    def moment(self) -> Moment:
        if self._tick is not None:
            self._tick()
        if self._moment is None:
            values = {name: self.scope.get(name) for name in self._template.cel_names}
            self._moment = self._template.names.environment.moment(values)
        return self._moment


@dataclass(frozen=True, slots=True)
class _Plain:
    """`a.b.c`: a name and the links after it."""

    text: str
    name: str
    links: tuple[str, ...]

    def render(self, rendering: _Rendering) -> Json:
        value = rendering.scope.get(self.name)
        for link in self.links:
            if isinstance(value, Hidden):
                raise ExpressionError(LOST)
            if not isinstance(value, dict):
                return None
            value = value.get(link)
        return value


@dataclass(frozen=True, slots=True)
class _Computed:
    """Any other expression, as a CEL program."""

    program: Program

    @property
    def text(self) -> str:
        return self.program.text

    def render(self, rendering: _Rendering) -> Json:
        return self.program.evaluate(rendering.moment())


@dataclass(frozen=True, slots=True)
class _Text:
    """Text with expressions in it."""

    parts: tuple[str | _Plain | _Computed, ...]

    def render(self, rendering: _Rendering) -> str:
        return "".join(
            rendering.put_in(part if isinstance(part, str) else _text_of(part, rendering)) for part in self.parts
        )


def _text_of(part: _Plain | _Computed, rendering: _Rendering) -> str:
    """Return the value of an expression as it stands in text."""
    value = part.render(rendering)
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        found = "null" if value is None else "an object" if isinstance(value, dict) else "a list"
        message = f"`${{{part.text}}}` is {found}, which cannot be put into text"
        raise ExpressionError(message)
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Json

    def render(self, rendering: _Rendering) -> Json:  # noqa: ARG002 - one signature for all nodes
        return self.value


@dataclass(frozen=True, slots=True)
class _Object:
    parts: tuple[tuple[str, _Node], ...]

    def render(self, rendering: _Rendering) -> Json:
        return {key: _part(node, rendering) for key, node in self.parts}


@dataclass(frozen=True, slots=True)
class _List:
    parts: tuple[_Node, ...]

    def render(self, rendering: _Rendering) -> Json:
        return [_part(node, rendering) for node in self.parts]


def _part(node: _Node, rendering: _Rendering) -> Json:
    value = node.render(rendering)
    return rendering.put_in(value) if isinstance(node, _Plain | _Computed) else value


_Node = _Plain | _Computed | _Text | _Constant | _Object | _List


@dataclass(frozen=True)
class CompiledTemplate:
    """A JSON value whose strings may hold `${…}`, compiled. Made by `compile_template`."""

    source: Json
    names: Names
    root: _Node
    expressions: tuple[str, ...] = ()  # each `${…}` in it, as written
    cel_names: tuple[str, ...] = field(default=(), repr=False)  # what its CEL expressions read
    reads: tuple[str, ...] = field(default=(), repr=False)  # what all its expressions read: `steps.pay.output`

    @property
    def is_constant(self) -> bool:
        """Whether every rendering gives the same."""
        return isinstance(self.root, _Constant)

    def render(self, scope: Mapping[str, Json]) -> Json:
        """Return the value with every expression replaced.

        Args:
            scope: a flat map of dotted names to JSON; a name that is not there counts as null.
                Its method `tick`, if it has one, is called before each CEL expression and may raise.

        Raises:
            ExpressionError: an expression has no value here, or one that is not JSON,
                or that no database keeps (U+0000, more than 256 KiB).
        """
        if isinstance(self.root, _Constant):
            return self.root.value
        rendering = _Rendering(scope, self)
        value = self.root.render(rendering)
        if problems := check_payload(value):
            place = f" at {problems[0].path}" if problems[0].path else ""
            message = f"the result cannot be kept{place}: {problems[0].message}"
            raise ExpressionError(message)
        return value

    def render_text(self, scope: Mapping[str, Json], change: Callable[[str, str], str]) -> str:
        """Return text with the value of each expression as `change`, given the expression and its value, makes it.

        Raises:
            ExpressionError: as for `render`, and what `change` raises.
        """
        rendering = _Rendering(scope, self)
        return "".join(
            part if isinstance(part, str) else change(part.text, rendering.put_in(_text_of(part, rendering)))
            for part in self._pieces
        )

    def text_with(self, value: str) -> str:
        """Return the text with `value` in the place of each expression."""
        return "".join(part if isinstance(part, str) else value for part in self._pieces)

    @property
    def _pieces(self) -> tuple[str | _Plain | _Computed, ...]:
        match self.root:
            case _Constant(str() as text):
                return (text,)
            case _Text():
                return self.root.parts
            case _Plain() | _Computed():
                return (self.root,)
        raise AssertionError("not text")


def compile_template(source: Json, names: Names) -> CompiledTemplate:
    """Compile every `${…}` in `source`.

    Raises:
        TemplateInvalidError: with every fault found.
    """
    names = names.mentioning(words_of(source))
    compiler = _Compiler(names)
    root = compiler.node(source, ())
    if compiler.faults:
        raise TemplateInvalidError(tuple(compiler.faults))
    read = sorted(compiler.cel_names | compiler.plain_names)
    expressions, cel_names = tuple(compiler.expressions), tuple(sorted(compiler.cel_names))
    return CompiledTemplate(source, names, root, expressions, cel_names, tuple(read))


class _Compiler:
    def __init__(self, names: Names) -> None:
        self.names = names
        self.faults: list[Fault] = []
        self.expressions: list[str] = []
        self.cel_names: set[str] = set()
        self.plain_names: set[str] = set()
        self.computed = 0

    def node(self, source: Json, path: tuple[str | int, ...]) -> _Node:
        if isinstance(source, str):
            return self._string(source, path)
        if isinstance(source, list):
            items = tuple(self.node(part, (*path, number)) for number, part in enumerate(source))
            values = [node.value for node in items if isinstance(node, _Constant)]
            return _Constant(values) if len(values) == len(items) else _List(items)
        if isinstance(source, dict):
            for key in source:
                if "${" in key:
                    self._fault((*path, key), f"`{key}` is a key: expressions are read in values only.")
            parts = tuple((key, self.node(part, (*path, key))) for key, part in source.items())
            fixed = {key: node.value for key, node in parts if isinstance(node, _Constant)}
            return _Constant(fixed) if len(fixed) == len(parts) else _Object(parts)
        return _Constant(source)

    def _string(self, source: str, path: tuple[str | int, ...]) -> _Node:
        if "${" not in source:
            return _Constant(source)
        parts: list[str | _Plain | _Computed] = []
        for is_expression, text in _pieces(source):
            if text is None:
                message = f"`${{` is not closed by `}}` within {EXPRESSION_LENGTH_MAX} characters."
                self._fault(path, f"{message} Write `$${{` for the characters themselves.")
                return _Constant(source)
            parts.append(self._expression(text.strip(), path) if is_expression else text)
        if len(parts) == 1:
            return _Constant(parts[0]) if isinstance(parts[0], str) else parts[0]
        if all(isinstance(part, str) for part in parts):
            return _Constant("".join(str(part) for part in parts))
        return _Text(tuple(parts))

    def _expression(self, text: str, path: tuple[str | int, ...]) -> str | _Plain | _Computed:
        self.expressions.append(text)
        if not text:
            self._fault(path, "`${}` is empty. Write an expression such as `${input.order_id}`.")
            return ""
        if _PLAIN.fullmatch(text) and text not in _LITERALS:
            return self._plain(text, path)
        if len(self.faults) >= PROBLEMS_MAX or self.computed > EXPRESSIONS_PER_VALUE_MAX:
            return ""  # nobody reads more, and each costs
        try:
            program = self.names.environment.compile(text)
        except CompileError as error:
            if error.undeclared:
                said = " ".join(self.names.why_unknown(name) for name in error.undeclared)
                self._fault(path, said, code="unknown_name")
            else:
                self._fault(path, f"`{text}` is not an expression: {error}")
            return ""
        self.cel_names |= program.names
        self.computed += 1
        if self.computed == EXPRESSIONS_PER_VALUE_MAX + 1:
            message = (
                f"one value may hold at most {EXPRESSIONS_PER_VALUE_MAX} computed expressions; paths are not counted."
            )
            self._fault(path, message, code="too_many_expressions")
        return _Computed(program)

    def _plain(self, text: str, path: tuple[str | int, ...]) -> str | _Plain:
        found = self.names.split(text)
        if found is None:
            self._fault(path, self.names.why_unknown(text), code="unknown_name")
            return ""
        name, links = found
        if links and self.names.declared[name]:
            self._fault(path, f"`{name}` is text and has no `{links[0]}`.", code="unknown_name")
        self.plain_names.add(name)
        return _Plain(text, name, links)

    def _fault(self, path: tuple[str | int, ...], message: str, *, code: str = "bad_expression") -> None:
        self.faults.append(Fault(path, code, message))


def _pieces(source: str) -> Iterator[tuple[bool, str | None]]:
    """Split text into (False, literal) and (True, expression); an expression that is never closed is None."""
    literal, at = "", 0
    while (start := source.find("${", at)) >= 0:
        if start > at and source[start - 1] == "$":
            literal += source[at : start - 1] + "${"
            at = start + 2
            continue
        if literal := literal + source[at:start]:
            yield False, literal
            literal = ""
        end = _closing_brace(source, start + 2)
        yield True, None if end is None else source[start + 2 : end]
        if end is None:
            return
        at = end + 1
    if literal := literal + source[at:]:
        yield False, literal


def _closing_brace(source: str, at: int) -> int | None:
    """Return where the expression that begins at `at` ends; braces in texts and comments do not count."""
    depth, end = 0, min(len(source), at + EXPRESSION_LENGTH_MAX + 1)
    while at < end:
        if source[at] in "\"'/rRbB" and (text := NOT_CODE.match(source, at, end)):
            at = text.end()
            continue
        if source[at] == "}" and depth == 0:
            return at
        depth += (source[at] == "{") - (source[at] == "}")
        at += 1
    return None
