"""Every error under `/api/` as a problem document (RFC 9457); nothing else leaves these addresses."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from sagas.core.problem import nearest as nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.vocabulary import Json

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:sagaweb:problem:"
RETRY_AFTER_S = 2  # a database that restarts is usually back by then

TITLES = {
    "malformed": "The request cannot be read",
    "bad-query": "The query string cannot be used",
    "unauthenticated": "Say who you are",
    "forbidden": "Your role may not do this",
    "not-found": "Nothing is here",
    "method-not-allowed": "This address does not take that method",
    "not-acceptable": "Only JSON can be sent back",
    "callback-kept": "The callback changes nothing",
    "nothing-seen": "There is nothing to draft from",
    "event-settled": "Nothing of the event waits for a decision",
    "run-ended": "The run has ended",
    "order-refused": "The run's state does not allow this order",
    "key-reused": "The key was used with another request",
    "saga-archived": "The saga takes no new runs",
    "saga-unreadable": "The saga's version needs code that is not here",
    "publish-conflict": "Somebody published in between",
    "service-state": "The service's state does not allow this",
    "service-in-use": "Something still needs the service",
    "stale": "What you read has changed since",
    "too-large": "The body is too large",
    "unsupported-media-type": "This kind of body is not read here",
    "invalid": "The content is not valid",
    "internal": "Something went wrong here",
    "unavailable": "The database does not answer in time",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (a JSON pointer into the body, or a query parameter), and what."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    line: int | None = None
    column: int | None = None
    code: str | None = None

    def as_json(self) -> dict[str, Json]:
        """Return what is known of it."""
        fields = ("pointer", "parameter", "detail", "line", "column", "code")
        return {name: getattr(self, name) for name in fields if getattr(self, name) is not None}


class ProblemError(exceptions.APIException):
    """An answer that is a problem document. `extra` holds further members, such as `allowed`."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Json,
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.kind = kind
        self.text = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.extra = extra

    def as_json(self) -> dict[str, Json]:
        """Return the document."""
        document: dict[str, Json] = {
            "type": TYPE_PREFIX + self.kind,
            "title": TITLES[self.kind],
            "status": int(self.status_code),
            "detail": self.text,
        }
        if self.faults:
            document["errors"] = [fault.as_json() for fault in self.faults]
        return document | self.extra


def malformed(detail: str) -> ProblemError:
    """Return a 400 for a body that cannot be read at all."""
    return ProblemError(HTTPStatus.BAD_REQUEST, "malformed", detail)


def bad_query(parameter: str, detail: str) -> ProblemError:
    """Return a 400 for one query parameter."""
    return ProblemError(HTTPStatus.BAD_REQUEST, "bad-query", detail, faults=[Fault(detail, parameter=parameter)])


def not_found(detail: str) -> ProblemError:
    """Return a 404 that says what is not there."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", detail)


def invalid(faults: Iterable[Fault], **extra: Json) -> ProblemError:
    """Return a 422 with everything that is wrong."""
    found = tuple(faults)
    detail = found[0].detail if len(found) == 1 else f"{len(found)} things are wrong."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, faults=found, **extra)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" or nothing."""
    near = nearest_name(name, known)
    return f" Did you mean {near!r}?" if near else ""


def answer(exception: Exception, context: dict[str, Any]) -> Response:
    """Turn any exception of a view into a problem document (REST framework's `EXCEPTION_HANDLER`)."""
    problem = _problem(exception)
    if problem is None:
        logger.error("The API failed", exc_info=exception)
        got_request_exception.send(sender=None, request=context.get("request"))
        problem = ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The fault is in the log.")
    response = Response(problem.as_json(), status=problem.status_code, content_type=MEDIA_TYPE)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def _problem(exception: Exception) -> ProblemError | None:
    match exception:
        case ProblemError():
            return exception
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return _unauthenticated(exception)
        case exceptions.APIException():
            status = HTTPStatus(exception.status_code)
            return ProblemError(status, _KINDS.get(status, "malformed"), str(exception.detail))
        case Http404():
            return not_found("There is nothing at this address.")
        case PermissionDenied():
            return ProblemError(HTTPStatus.FORBIDDEN, "forbidden", str(exception) or TITLES["forbidden"])
        case RequestDataTooBig():
            return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", str(exception))
        case SuspiciousOperation():
            return malformed(str(exception))
        case OperationalError() | InterfaceError():
            logger.warning("The database refused a request of the API: %s", exception)
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Nothing was done; try again.", headers=headers
            )
        case DataError():  # the guard in front should have refused it; nothing was written
            logger.error("A value reached the database that cannot be stored", exc_info=exception)
            return malformed("A value in the request cannot be stored.")
        case _:
            return None


def _unauthenticated(exception: exceptions.APIException) -> ProblemError:
    is_wrong = isinstance(exception, exceptions.AuthenticationFailed)
    challenge = 'Bearer realm="sagaweb"' + (', error="invalid_token"' if is_wrong else "")
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        str(exception.detail) if is_wrong else "Send `Authorization: Bearer <token>`, or sign in.",
        headers={"WWW-Authenticate": challenge},
    )


_KINDS = {
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not-acceptable",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
}
