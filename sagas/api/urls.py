"""The addresses under `/api/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path, re_path
from drf_spectacular.utils import extend_schema

from sagas.api import (
    arrivals,
    callbacks,
    docs,
    events,
    orders,
    reruns,
    runs,
    sagas,
    service_traffic,
    services,
    simulation,
    webhooks,
)
from sagas.api.problems import not_found
from sagas.api.views import ApiView
from sagas.core.vocabulary import Role

if TYPE_CHECKING:
    from rest_framework.request import Request


@extend_schema(exclude=True)
class Nothing(ApiView):
    """Whatever is not an address: a problem document like any other."""

    roles: ClassVar[dict[str, Role]] = dict.fromkeys(
        ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"), Role.VIEWER
    )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Know the caller, then say that nothing is here, whatever the method and the query."""
        super().initial(request, *args, **kwargs)
        hint = "" if request.path.endswith("/") else " Addresses end with a slash."
        message = f"There is nothing at this address.{hint}"
        raise not_found(message)

    def check_query(self, request: Request) -> None:
        """Let any query pass on its way to the 404."""


urlpatterns = [
    path("v1/sagas/", sagas.SagaList.as_view(), name="api-sagas"),
    path("v1/sagas/validate/", sagas.Validate.as_view(), name="api-validate"),
    path("v1/sagas/simulate/", simulation.Simulate.as_view(), name="api-simulate"),
    path("v1/sagas/<slug:saga>/", sagas.SagaOne.as_view(), name="api-saga"),
    path("v1/sagas/<slug:saga>/versions/", sagas.VersionList.as_view(), name="api-versions"),
    path("v1/sagas/<slug:saga>/versions/<int:number>/", sagas.VersionOne.as_view(), name="api-version"),
    path("v1/runs/", runs.RunList.as_view(), name="api-runs"),
    path("v1/runs/<uuid:run_id>/", runs.RunOne.as_view(), name="api-run"),
    path("v1/runs/<uuid:run_id>/journal/", runs.RunJournal.as_view(), name="api-journal"),
    path("v1/runs/<uuid:run_id>/plan/", runs.RunPlan.as_view(), name="api-plan"),
    path("v1/runs/<uuid:run_id>/cancel/", orders.RunCancel.as_view(), name="api-cancel"),
    path("v1/runs/<uuid:run_id>/retry/", orders.RunRetry.as_view(), name="api-retry"),
    path("v1/runs/<uuid:run_id>/skip/", orders.RunSkip.as_view(), name="api-skip"),
    path("v1/runs/<uuid:run_id>/settle/", orders.RunSettle.as_view(), name="api-settle"),
    path("v1/runs/<uuid:run_id>/give-up/", orders.RunGiveUp.as_view(), name="api-give-up"),
    path("v1/runs/<uuid:run_id>/pause/", orders.RunPause.as_view(), name="api-pause"),
    path("v1/runs/<uuid:run_id>/resume/", orders.RunResume.as_view(), name="api-resume"),
    path("v1/runs/<uuid:run_id>/terminate/", orders.RunTerminate.as_view(), name="api-terminate"),
    path("v1/runs/<uuid:run_id>/signals/", arrivals.RunSignals.as_view(), name="api-signals"),
    path("v1/runs/<uuid:run_id>/approvals/<str:step>/", arrivals.RunApproval.as_view(), name="api-approval"),
    path("v1/runs/<uuid:run_id>/rerun/", reruns.RunRerun.as_view(), name="api-rerun"),
    path("v1/services/", services.ServiceList.as_view(), name="api-services"),
    path("v1/services/<slug:name>/", services.ServiceOne.as_view(), name="api-service"),
    path("v1/services/<slug:name>/traffic/", service_traffic.ServiceTraffic.as_view(), name="api-service-traffic"),
    path("v1/services/<slug:name>/rotate-secret/", services.ServiceRotate.as_view(), name="api-service-rotate"),
    path("v1/services/<slug:name>/hold/", services.ServiceHold.as_view(), name="api-service-hold"),
    path("v1/services/<slug:name>/release/", services.ServiceRelease.as_view(), name="api-service-release"),
    path("v1/webhooks/", webhooks.WebhookList.as_view(), name="api-webhooks"),
    path("v1/webhooks/<slug:name>/", webhooks.WebhookOne.as_view(), name="api-webhook"),
    path("v1/webhooks/<slug:name>/rotate-secret/", webhooks.WebhookRotate.as_view(), name="api-webhook-rotate"),
    path("v1/webhooks/<slug:name>/deliveries/", webhooks.DeliveryList.as_view(), name="api-webhook-deliveries"),
    path("v1/webhooks/<slug:name>/replay-dead/", webhooks.DeadReplay.as_view(), name="api-webhook-replay-dead"),
    path(
        "v1/webhooks/<slug:name>/deliveries/<uuid:delivery>/replay/",
        webhooks.DeliveryReplay.as_view(),
        name="api-webhook-replay",
    ),
    path("v1/events/", events.EventList.as_view(), name="api-events"),
    path("v1/events/draft/", events.EventDraft.as_view(), name="api-event-draft"),
    path("v1/events/<uuid:event_id>/", events.EventOne.as_view(), name="api-event"),
    path("v1/events/<uuid:event_id>/replay/", events.EventReplay.as_view(), name="api-event-replay"),
    path("v1/events/<uuid:event_id>/assign/", events.EventAssign.as_view(), name="api-event-assign"),
    path("v1/events/<uuid:event_id>/drop/", events.EventDrop.as_view(), name="api-event-drop"),
    path("v1/callbacks/<str:token>/", callbacks.CallbackOne.as_view(), name="api-callback"),
    path("v1/schema/", docs.OpenApi.as_view(), name="api-schema"),
    path("v1/docs/", docs.page, name="api-docs"),
    re_path(r"^", Nothing.as_view(), name="api-nothing"),
]
