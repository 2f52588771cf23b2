"""What every list in the admin shares: read-only, bounded, no payloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.core.exceptions import BadRequest, ValidationError
from django.core.paginator import Paginator
from django.utils.functional import cached_property
from django.utils.html import format_html

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from sagas.core.vocabulary import Json

COUNT_MAX = 10_000  # rows; counting more would dominate the page
JSON_LENGTH_MAX = 20_000  # characters of one payload on a page
FILTER_LOOKUPS = {False: ("", "__exact", "__isnull"), True: ("__id__exact", "__isnull")}  # of a column, of a relation


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most 10,000 rows; older ones are found by filter and search."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or 10,000."""
        return int(self.object_list[:COUNT_MAX].count())  # type: ignore[union-attr, call-arg, arg-type]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that can be read by whoever has the view permission, and changed by nobody."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count every row once per choice
    list_per_page = 50
    list_max_show_all = 200
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        del request, obj
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the filters beside the list link to: Django would run any lookup, on any column."""
        del value, request
        return lookup in {name for one in self.list_filter for name in self._parameters(one)}

    def _parameters(self, one: Any) -> list[str]:
        if not isinstance(one, str):
            return [one.parameter_name]
        return [one + suffix for suffix in FILTER_LOOKUPS[bool(self.model._meta.get_field(one).is_relation)]]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Refuse what the database could not take as a value."""
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            message = "The address holds a NUL character."
            raise BadRequest(message)
        if not all(map(self._may_be_key, request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))):
            message = "What was selected is not in this list."
            raise BadRequest(message)
        return super().changelist_view(request, extra_context)

    def _may_be_key(self, text: str) -> bool:
        try:
            self.model._meta.pk.to_python(text)
        except ValidationError:
            return False
        return "\0" not in text


def shown_json(value: Json) -> SafeString:
    """Return JSON as a person reads it, cut where it would fill the page."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > JSON_LENGTH_MAX:
        text = text[:JSON_LENGTH_MAX] + "\n…"
    return format_html("<pre>{}</pre>", text)
