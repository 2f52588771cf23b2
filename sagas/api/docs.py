"""The reference: as an OpenAPI document for programs, as a page for people. No script, nothing from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from sagas import access
from sagas.api.problems import MEDIA_TYPE
from sagas.api.schema import SETTINGS
from sagas.api.views import ApiView
from sagas.core.vocabulary import Role

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from rest_framework.request import Request

    from sagas.core.vocabulary import Json


class OpenApi(ApiView):
    """The OpenAPI 3.1 document."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}
    renderer_classes = (JSONRenderer, OpenApiJsonRenderer)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Made from the code that answers."""
        del request
        return Response(make_schema())


@lru_cache(maxsize=1)
def make_schema() -> dict[str, Json]:
    """Return the OpenAPI document; it changes with the code only."""
    with patched_settings(SETTINGS):
        return dict(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the reference to people who may read."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if not access.has_role(request.user, Role.VIEWER):
        message = f"This needs the role {Role.VIEWER}."
        raise PermissionDenied(message)
    schema = make_schema()
    base = request.build_absolute_uri(reverse("sagas:api-sagas")).removesuffix("sagas/")
    context = {"base": base, "groups": _groups(schema), "shapes": _shapes(schema), "schema": schema["info"]}
    return render(request, "sagas/api/docs.html", context)


def _groups(schema: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            answers = [_answer(code, answer) for code, answer in operation["responses"].items()]
            found.setdefault(operation["tags"][0], []).append(
                {
                    "path": path,
                    "method": method.upper(),
                    "id": operation["operationId"],
                    "summary": operation["summary"],
                    "description": _plain(operation.get("description", "")),
                    "parameters": [
                        {**one, "description": _plain(one.get("description", ""))}
                        for one in operation.get("parameters", [])
                        if one["in"] != "path"
                    ],
                    "bodies": _media(operation.get("requestBody", {})),
                    "answers": [one for one in answers if one["type"] != MEDIA_TYPE],
                    "problems": [one for one in answers if one["type"] == MEDIA_TYPE],
                }
            )
    return found


def _answer(code: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "says": answer.get("description", ""), **_media(answer)[0]}


def _media(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": kind, "shape": _name(inner["schema"]), "is_named": "$ref" in inner["schema"]}
        for kind, inner in part.get("content", {}).items()
    ]


def _plain(text: str) -> str:
    return text.replace("`", "")


def _shapes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "says": shape.get("description", ""),
            "words": [word for word in shape.get("enum", []) if word],
            "members": [
                {
                    "name": member,
                    "kind": _name(inner),
                    "says": _plain(inner.get("description", "")),
                    "is_required": member in shape.get("required", []),
                }
                for member, inner in shape.get("properties", {}).items()
            ],
        }
        for name, shape in sorted(schema["components"]["schemas"].items())
    ]


def _name(schema: dict[str, Any]) -> str:
    """Return a short name of a schema: `RunWhole`, `list of StepShape`, `string or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            names = [_name(one) for one in schema[key]]
            return " or ".join(name for name in names if name)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_name(schema.get('items', {}))}"
    if isinstance(kind, list):
        return " or ".join(kind)
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
