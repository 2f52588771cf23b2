"""Reading what a step, a compensation, a probe or a reaction calls."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sagas.core.definition import ActionFacts, Half, PythonAction, RetryPolicy
from sagas.core.expressions import CompiledTemplate, compile_template
from sagas.core.fields import Fields
from sagas.core.http_form import COMMAND_KEYS, HTTP_KEYS, PROBE_HTTP_KEYS, ServiceReader
from sagas.core.http_request import WITHOUT_BODY
from sagas.core.limits import ACTION_NAME_LENGTH_MAX, NAME_LENGTH_MAX, PROBE_TRIES_MAX
from sagas.core.names import Names
from sagas.core.problem import found_text, hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.definition import Action, Template
    from sagas.core.vocabulary import Json

PROBE_RETRY = RetryPolicy(attempts=PROBE_TRIES_MAX, wait_s_max=10.0)
ACTION_KEYS = ("python", "http", "command")
PROBE_KEYS = ("python", "http")
STEP_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{NAME_LENGTH_MAX - 1}}}", re.ASCII)
ACTION_NAME = re.compile(rf"(?=.{{1,{ACTION_NAME_LENGTH_MAX}}}$)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
STEP_RESERVED = frozenset((  # words of the expression language: `steps.in.output` could not be said
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "namespace", "null", "package", "return", "true", "var", "void", "while",
))  # fmt: skip
NO_ARGUMENTS = compile_template({}, Names())


class StepNames:
    """What the steps of a document are called, in its order, and where each name stands first."""

    def __init__(self, names: list[str]) -> None:
        self.all = names
        self.first: dict[str, int] = {}
        for place, name in enumerate(names):
            self.first.setdefault(name, place)


class ActionReader:
    """Reads the calls of one step or reaction."""

    what = "step"
    says = "a step says what to call, such as shop.process_payment."  # where there is no action
    item_scope = Names()  # what its expressions may use

    def __init__(
        self,
        fields: Fields,
        names: StepNames,
        position: int,
        actions: Mapping[str, ActionFacts],
        services: Mapping[str, str] | None,
    ) -> None:
        self.fields = fields
        self.names = names
        self.position = position
        self.actions = actions
        self.services = services
        self.report = fields.report

    def _name(self) -> str:
        name = self.fields.name(
            "name", STEP_NAME, f"small letters, digits and underscores, a letter first, at most {NAME_LENGTH_MAX}",
            "expressions call a step by its name, such as process_payment.",
        )  # fmt: skip
        if name in STEP_RESERVED:
            self.fields.error("name", "reserved", f"`{name}` is a word of the expression language.")
        elif name and self.names.first[name] < self.position:
            first = self.names.first[name] + 1
            self.fields.error(
                "name", "duplicate_name", f"two {self.what}s are called `{name}`; the first is {self.what} {first}."
            )
        return name

    def _action(self, fields: Fields, names: Names) -> tuple[Action, ActionFacts, Template]:
        """Read what a step or a compensation calls, what is known of that, and with what it is called."""
        value = fields.raw("action")
        if "action" not in fields:
            if fields.is_mapping:
                fields.missing("action", self.says)
            return PythonAction(""), ActionFacts(), self._arguments(fields, names)
        if not isinstance(value, dict):
            return *self._python(fields, "action", value, "an action"), self._arguments(fields, names)
        form = Fields(value, fields.at("action"), self.report, what="an action", known=ACTION_KEYS)
        match self._one_of(form, ACTION_KEYS, "an action"):
            case "http":
                request = Fields(form.raw("http"), form.at("http"), self.report, what="`http`", known=HTTP_KEYS)
                called, arguments = ServiceReader(fields, names, self.services).http(request)
                return called, ActionFacts(reads_only=called.method in WITHOUT_BODY), arguments
            case "command":
                said = form.raw("command")
                order = Fields(said, form.at("command"), self.report, what="`command`", known=COMMAND_KEYS)
                sent = ServiceReader(fields, names, self.services).command(order)
                return sent, ActionFacts(), self._arguments(fields, names)
            case "python":
                action, facts = self._python(form, "python", form.raw("python"), "an action")
                return action, facts, self._arguments(fields, names)
        form.missing("python", "an action is a name, {python: name}, {http: …} or {command: …}.")
        return PythonAction(""), ActionFacts(), self._arguments(fields, names)

    @staticmethod
    def _one_of(form: Fields, keys: tuple[str, ...], what: str) -> str:
        """Return which of `keys` is there, the first one after reporting that there are more; empty for none."""
        said = [key for key in keys if key in form]
        for key in said[1:]:
            form.error(key, "two_kinds", f"{what} is one thing: it has `{said[0]}` already.", at_key=True)
        return said[0] if said else ""

    def _python(self, fields: Fields, key: str, value: Json, what: str) -> tuple[PythonAction, ActionFacts]:
        if not isinstance(value, str) or not ACTION_NAME.fullmatch(value):
            message = f"`{key}` must be the dotted name of {what}, such as shop.process_payment; "
            fields.error(key, "wrong_value", message + f"found {found_text(value)}.")
            return PythonAction(""), ActionFacts()
        if value not in self.actions:
            message = f"no action called `{value}` is registered here.{hint(value, self.actions)}"
            self.report.warning(fields.at(key), "action_unknown", message)
        return PythonAction(value), self.actions.get(value, ActionFacts())

    def _probe(self, action: Half) -> Half | None:
        value = self.fields.raw("probe")
        if "probe" not in self.fields:
            return None
        if not isinstance(value, dict):
            message = f"`probe` must be a mapping, such as {{python: shop.payment_state}}; found {found_text(value)}."
            self.fields.error("probe", "wrong_type", message)
            return None
        form = Fields(value, self.fields.at("probe"), self.report, what="a probe", known=PROBE_KEYS)
        kind = self._one_of(form, PROBE_KEYS, "a probe")
        if kind == "http":
            names = replace(self.item_scope, values=(*self.item_scope.values, "step.input"))
            request = Fields(form.raw("http"), form.at("http"), self.report, what="`http`", known=PROBE_HTTP_KEYS)
            asked, arguments = ServiceReader(self.fields, names, self.services).http(request, "probe")
            return Half(asked, arguments, action.timeout_s, PROBE_RETRY)
        if not kind:
            form.missing("python", "the name of what says whether the action happened, such as shop.payment_state.")
            return None
        probe, _ = self._python(form, "python", form.raw("python"), "a probe")
        return Half(probe, action.arguments, action.timeout_s, PROBE_RETRY)

    def _arguments(self, fields: Fields, names: Names) -> CompiledTemplate:
        value = fields.raw("with")
        if "with" in fields and not isinstance(value, dict):
            message = f"`with` must be a mapping of arguments to values; found {found_text(value)}."
            fields.error("with", "wrong_type", message)
            return NO_ARGUMENTS
        return fields.template("with", names) or NO_ARGUMENTS
