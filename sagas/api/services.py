"""Services: the registry of who takes part over HTTP or behind a broker, and how each of them is."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from sagas.api import service_shapes as shapes
from sagas.api.pages import Keyset, paged
from sagas.api.problems import Fault, ProblemError, invalid, nearest, not_found
from sagas.api.sagas import PAGING
from sagas.api.schema import describe, in_header
from sagas.api.shapes import word
from sagas.api.views import ApiView, Flag, Number, StrictSerializer, Text, read_body, read_if_match
from sagas.core.limits import SERVICE_ADDRESS_LENGTH_MAX, SERVICES_MAX
from sagas.core.steps import SAGA_NAME
from sagas.core.vocabulary import Role
from sagas.models import Service, ServiceKind
from sagas.queries import services as queries
from sagas.services import changes, errors
from sagas.services.wanted import FORMER_VALID_S, MAX_CONCURRENCY, Wanted

if TYPE_CHECKING:
    from rest_framework.request import Request

SECRET_LENGTH_MAX = 200
NAME_LENGTH_MAX = 80
IF_MATCH = in_header("If-Match", "the service's revision as you read it; another one now is a 412")
STALE = (HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)


class Seconds(serializers.FloatField):
    """A number of seconds, and nothing that merely could be made one."""

    def to_internal_value(self, data: Any) -> float:
        """Refuse strings and booleans."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class ServiceBody(StrictSerializer):
    """A whole service; what is left out is as a new service has it, but for secrets: they stay."""

    name = Text(max_length=NAME_LENGTH_MAX, required=False, help_text="as in the address, when said")
    kind = word(ServiceKind, required=False, default=ServiceKind.HTTP.value)
    base_url = Text(
        max_length=2 * SERVICE_ADDRESS_LENGTH_MAX,
        help_text="http(s)://…; of a broker amqp(s)://… or redis(s)://…, `•••` for a password that is kept",
    )
    timeout = Seconds(
        required=False, allow_null=True, default=None, help_text="the most seconds for one answer; null: as steps say"
    )  # fmt: skip
    max_concurrency = Number(
        required=False, default=MAX_CONCURRENCY, help_text="calls in flight at once, over all workers"
    )
    allow_private = Flag(required=False, default=False, help_text="this machine and private networks too")
    follows_redirects = Flag(required=False, default=False, help_text="within its own host and port")
    secret = Text(
        max_length=SECRET_LENGTH_MAX, required=False, write_only=True,
        help_text="`whsec_…`; left out: the one that is there, or a new one, told in the answer and never again",
    )  # fmt: skip
    held = Flag(required=False, help_text="as it is; `hold/` and `release/` change it")


class RotateBody(StrictSerializer):
    """Which secret, and for how long the present one stays valid beside it."""

    secret = Text(max_length=SECRET_LENGTH_MAX, required=False, write_only=True, help_text="made when left out")
    former_valid = Seconds(required=False, default=FORMER_VALID_S, help_text="seconds; 0 ends the present one now")
    reason = Text(max_length=changes.REASON_LENGTH_MAX, required=False, allow_blank=True, default="")


class HoldBody(StrictSerializer):
    """Why; it is written down."""

    reason = Text(max_length=changes.REASON_LENGTH_MAX)


class ReleaseBody(StrictSerializer):
    """Why, if that needs saying."""

    reason = Text(max_length=changes.REASON_LENGTH_MAX, required=False, allow_blank=True, default="")


class ServiceList(ApiView):
    """All services."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="services_list",
        summary="List the services and how they are, by name",
        answers={200: shapes.ServicePage},
        parameters=PAGING,
    )
    def get(self, request: Request) -> Response:
        """Each figure says of when it is; no answer holds a secret."""
        rows = Service.objects.select_related("state")
        keyset = Keyset("name", is_descending=False, parse=_name)
        return Response(paged(request, rows, keyset, self._show))

    def _show(self, services: list[Service]) -> Any:
        return [shapes.show_line(self.request, line) for line in queries.lines_of(services, timezone.now())]


class ServiceOne(ApiView):
    """One service, by name."""

    http_method_names: ClassVar[list[str]] = [*ApiView.http_method_names, "delete"]
    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER, "PUT": Role.ADMIN, "DELETE": Role.ADMIN}

    @describe(
        name="services_read",
        summary="Read one service and how it is",
        answers={200: shapes.ServiceShape},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, name: str) -> Response:
        """`ETag` is the revision, which `If-Match` takes."""
        return _answer(request, name, HTTPStatus.OK)

    @describe(
        name="services_put",
        summary="Register a service, or make it what is wanted",
        body={"application/json": ServiceBody},
        answers={200: shapes.ServiceShown, 201: shapes.ServiceShown},
        parameters=(IF_MATCH,),
        refusals=(HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT),
    )
    def put(self, request: Request, name: str) -> Response:
        """201 for a new one. A secret made here is in this answer and in no other one."""
        body = read_body(request, ServiceBody)
        _check_fixed(name, body)
        wanted = Wanted(
            kind=body["kind"],
            base_url=body["base_url"],
            timeout_s=body["timeout"],
            max_concurrency=body["max_concurrency"],
            allow_private=body["allow_private"],
            follows_redirects=body["follows_redirects"],
            secret=body.get("secret"),
        )
        try:
            done = changes.put_service(
                name, wanted, by=self.caller().by, revision=read_if_match(request.headers)
            )  # fmt: skip
        except errors.ServiceError as error:
            raise problem_of(error) from None
        return _answer(request, name, HTTPStatus.CREATED if done.is_new else HTTPStatus.OK, done.secret)

    @describe(
        name="services_delete",
        summary="Take a service out of the registry",
        answers={200: shapes.ServiceGone},
        parameters=(IF_MATCH,),
        refusals=(*STALE, HTTPStatus.CONFLICT),
    )
    def delete(self, request: Request, name: str) -> Response:
        """409 while a saga's latest version names it or a run that has not ended needs it: see `sagas`, `runs`."""
        try:
            changes.delete(name, by=self.caller().by, revision=read_if_match(request.headers))
        except errors.ServiceError as error:
            raise problem_of(error) from None
        return Response(shapes.ServiceGone({"name": name}).data)


class ServiceRotate(ApiView):
    """Another secret."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @describe(
        name="services_rotate_secret",
        summary="Give a service another secret",
        body={"application/json": RotateBody},
        answers={200: shapes.ServiceShown},
        parameters=(IF_MATCH,),
        refusals=STALE,
    )
    def post(self, request: Request, name: str) -> Response:
        """Both are valid until `former_secret_until`. One made here is in this answer and in no other one."""
        body = read_body(request, RotateBody)
        try:
            done = changes.rotate_secret(
                name,
                by=self.caller().by,
                secret=body.get("secret"),
                former_valid_s=body["former_valid"],
                revision=read_if_match(request.headers),
                reason=body["reason"],
            )
        except errors.ServiceError as error:
            raise problem_of(error) from None
        return _answer(request, name, HTTPStatus.OK, done.secret)


class ServiceHold(ApiView):
    """Keep runs out."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="services_hold",
        summary="Let no run enter a service",
        body={"application/json": HoldBody},
        answers={200: shapes.ServiceShape},
        parameters=(IF_MATCH,),
        refusals=(*STALE, HTTPStatus.CONFLICT),
    )
    def post(self, request: Request, name: str) -> Response:
        """Calls in flight end; runs wait before it, and lose nothing."""
        body = read_body(request, HoldBody)
        try:
            changes.hold(
                name, by=self.caller().by, reason=body["reason"], revision=read_if_match(request.headers)
            )  # fmt: skip
        except errors.ServiceError as error:
            raise problem_of(error) from None
        return _answer(request, name, HTTPStatus.OK)


class ServiceRelease(ApiView):
    """Let runs in again."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="services_release",
        summary="Let runs enter a service again",
        body={"application/json": ReleaseBody},
        answers={200: shapes.ServiceShape},
        parameters=(IF_MATCH,),
        refusals=(*STALE, HTTPStatus.CONFLICT),
    )
    def post(self, request: Request, name: str) -> Response:
        """Runs that wait before it go on by themselves."""
        body = read_body(request, ReleaseBody)
        try:
            changes.release(
                name, by=self.caller().by, reason=body["reason"], revision=read_if_match(request.headers)
            )  # fmt: skip
        except errors.ServiceError as error:
            raise problem_of(error) from None
        return _answer(request, name, HTTPStatus.OK)


def problem_of(error: errors.ServiceError) -> ProblemError:
    """Return the answer to a change that the registry refuses."""
    match error:
        case errors.ServiceUnknownError():
            return not_found(str(error))
        case errors.ServiceStaleError():
            detail = str(error)
            return ProblemError(HTTPStatus.PRECONDITION_FAILED, "stale", detail, revision=error.revision)
        case errors.ServiceInUseError():
            sagas, runs = list(error.sagas), list(error.runs)
            return ProblemError(HTTPStatus.CONFLICT, "service-in-use", str(error), sagas=sagas, runs=runs)
        case errors.ServiceInvalidError():
            return invalid(Fault(one.message, pointer=one.pointer, code=one.code) for one in error.problems)
        case _:
            return ProblemError(HTTPStatus.CONFLICT, "service-state", str(error))


def _answer(request: Request, name: str, status: HTTPStatus, secret: str = "") -> Response:
    found = queries.lines_of(Service.objects.select_related("state").filter(name=name), timezone.now())
    if not found:
        names = Service.objects.values_list("name", flat=True)[:SERVICES_MAX]
        raise not_found(f"There is no service {name[:80]!r}.{nearest(name[:80], names)}")
    line = found[0]
    body = shapes.show_line(request, line) | ({"secret": secret} if secret else {})
    return Response(body, status=status, headers={"ETag": f'"{line.service.revision}"'})


def _check_fixed(name: str, body: dict[str, Any]) -> None:
    """Refuse what a PUT may say only as it is.

    Raises:
        ProblemError: 422.
    """
    if body.get("name", name) != name:
        message = "The name is in the address, and fixed for life."
        raise invalid([Fault(message, pointer="/name")])
    if "held" in body:
        is_held = Service.objects.filter(name=name, is_held=True).exists()
        if body["held"] != is_held:
            message = "A PUT does not hold or release: POST to hold/ or release/, with a reason."
            raise invalid([Fault(message, pointer="/held")])


def _name(text: str) -> str:
    if not SAGA_NAME.fullmatch(text):
        raise ValueError
    return text
