"""Reading the actions of a document that call a service: `http`, and `command`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core.definition import CommandAction, HttpAction
from sagas.core.expressions import CompiledTemplate, compile_template
from sagas.core.fields import Fields
from sagas.core.http_request import WITHOUT_BODY, RequestTemplate, header_fault, path_fault
from sagas.core.limits import NAME_LENGTH_MAX, REQUEST_NAMES_MAX
from sagas.core.names import Names
from sagas.core.problem import found_text, hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.vocabulary import Json

HTTP_KEYS = ("service", "method", "path", "headers", "query", "body", "async")
PROBE_HTTP_KEYS = tuple(key for key in HTTP_KEYS if key != "async")
COMMAND_KEYS = ("service", "name")
METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE")  # the first one is meant where nothing is said
PROBE_METHODS = ("GET", "POST")  # what only looks and can answer

SERVICE_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{NAME_LENGTH_MAX}}}", re.ASCII)
COMMAND_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_.-]{{0,{NAME_LENGTH_MAX - 1}}}", re.ASCII)

_NOWHERE = compile_template("/", Names())
_SAFE_VALUE = "x"  # stands for each expression when the rest of a path is looked at


class ServiceReader:
    """Reads what one half of a step calls over HTTP or by a command."""

    def __init__(self, owner: Fields, names: Names, services: Mapping[str, str] | None) -> None:
        """Read for a step or a compensation.

        Args:
            owner: what has `with`.
            names: what its expressions may use.
            services: the kind of each registered service by its name; None when nobody knows them.
        """
        self.owner = owner
        self.names = names
        self.services = services

    def http(self, form: Fields, kind: str = "action") -> tuple[HttpAction, RequestTemplate]:
        """Read a request; `kind` is `probe` where only a look is allowed."""
        is_probe = kind == "probe"
        service = self._service(form, "http")
        method = form.choice("method", PROBE_METHODS if is_probe else METHODS)
        is_async = False if is_probe else form.flag("async")
        if is_async and method in WITHOUT_BODY:
            form.error("async", "async_read", f"a {method} is answered at once: `async` is for what changes something.")
        parts = {"path": self._path(form)}
        for key in ("query", "headers"):
            if (found := self._named(form, key)) is not None:
                parts[key] = found
        body_key = "body" if is_probe or "body" in form else "with"
        if (body := self._body(form, method, is_probe=is_probe)) is not None:
            parts["body"] = body
        return HttpAction(service, method, is_async), RequestTemplate(parts, body_key, kind)

    def command(self, form: Fields) -> CommandAction:
        """Read a command; its payload is `with`."""
        service = self._service(form, "command")
        name = form.name(
            "name", COMMAND_NAME,
            f"letters, digits, underscores, dots and dashes, a letter first, at most {NAME_LENGTH_MAX}",
            "what the service is told to do, such as reserve_stock.",
        ) if form.is_mapping else ""  # fmt: skip
        return CommandAction(service, name)

    def _service(self, form: Fields, kind: str) -> str:
        if not form.is_mapping:
            return ""
        name = form.name(
            "service", SERVICE_NAME, f"letters, digits, dashes and underscores, at most {NAME_LENGTH_MAX}",
            "the name of a registered service, such as inventory.",
        )  # fmt: skip
        if self.services is None or not SERVICE_NAME.fullmatch(name):
            return name
        found = self.services.get(name)
        if found is None:
            message = f"no service called `{name}` is registered.{hint(name, self.services)}"
            form.report.warning(form.at("service"), "service_unknown", message)
        elif found != kind:
            means = {"http": "over HTTP", "command": "by commands"}
            message = f"service `{name}` is called {means.get(found, found)}, not {means[kind]}."
            form.report.warning(form.at("service"), "service_kind", message)
        return name

    def _path(self, form: Fields) -> CompiledTemplate:
        value = form.raw("path")
        if "path" not in form:
            if form.is_mapping:
                form.missing("path", "where at the service, such as /reservations/${input.order_id}.")
            return _NOWHERE
        if not isinstance(value, str) or not value.startswith("/"):
            form.error("path", "wrong_value", f"`path` must be text that begins with /; found {found_text(value)}.")
            return _NOWHERE
        compiled = form.template("path", self.names)
        if compiled is not None and (fault := path_fault(compiled.text_with(_SAFE_VALUE))):
            form.error("path", "bad_path", f"{fault}.")
        return compiled or _NOWHERE

    def _named(self, form: Fields, key: str) -> CompiledTemplate | None:
        """Read `query` or `headers`: values by name."""
        value = form.raw(key)
        if key not in form:
            return None
        if not isinstance(value, dict):
            message = f"`{key}` must be a mapping of names to values; found {found_text(value)}."
            form.error(key, "wrong_type", message)
            return None
        if len(value) > REQUEST_NAMES_MAX:
            message = f"`{key}` names at most {REQUEST_NAMES_MAX}; found {len(value)}."
            form.error(key, "too_many", message)
        seen: dict[str, str] = {}
        for name, part in value.items():
            self._check_one(form, key, name, part)
            if key == "headers" and seen.setdefault(name.lower(), name) != name:
                message = f"`{name}` and `{seen[name.lower()]}` are one header."
                form.report.error((*form.at(key), name), "duplicate_name", message, at_key=True)
        return form.template(key, self.names)

    def _check_one(self, form: Fields, key: str, name: str, part: Json) -> None:
        place = (*form.at(key), name)
        if key == "headers" and (fault := header_fault(name)):
            form.report.error(place, "bad_header", f"{fault}.", at_key=True)
        is_simple = not isinstance(part, dict | list) or (key == "query" and isinstance(part, list))
        if not is_simple or not name:
            expected = "text, a number, or an expression" if key == "headers" else "a value, or a list of values"
            form.report.error(place, "wrong_value", f"`{key}.{name}` must be {expected}; found {found_text(part)}.")

    def _body(self, form: Fields, method: str, *, is_probe: bool) -> CompiledTemplate | None:
        """Read the body: `body`, else `with`; a probe has one only when it says so itself."""
        has_body, has_with = "body" in form, not is_probe and "with" in self.owner
        if method in WITHOUT_BODY and (has_body or has_with):
            fields, key = (form, "body") if has_body else (self.owner, "with")
            message = f"a {method} has no body, so no `{key}`: say `query` for what it asks."
            fields.error(key, "no_body", message, at_key=True)
            return None
        if has_body and has_with:
            message = "`with` is what is sent where the action has no `body`; this one has."
            self.owner.error("with", "two_bodies", message, at_key=True)
        if has_body:
            return form.template("body", self.names)
        if has_with and not isinstance(self.owner.raw("with"), dict):
            message = f"`with` must be a mapping of arguments to values; found {found_text(self.owner.raw('with'))}."
            self.owner.error("with", "wrong_type", message)
            return None
        return self.owner.template("with", self.names) if has_with else None
