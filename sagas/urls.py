"""Every address of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import include, path

from sagas.api import health
from sagas.dashboard import (
    access,
    actions,
    chrome,
    events,
    overview,
    reruns,
    runs,
    sagas,
    services,
    simulation,
    webhook_edit,
    webhooks,
    welcome,
)

if TYPE_CHECKING:
    from django.urls import URLPattern, URLResolver

app_name = "sagas"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("welcome/", welcome.welcome, name="welcome"),
    path("demo/start/", welcome.demo_start, name="demo-start"),
    path("attention/", overview.attention_list, name="attention"),
    path("theme/", chrome.set_theme, name="theme"),
    path("runs/", runs.run_list, name="run-list"),
    path("runs/<uuid:run_id>/", runs.run_detail, name="run-detail"),
    path("runs/<uuid:run_id>/steps/<str:step>/", runs.step_detail, name="step-detail"),
    path("runs/<uuid:run_id>/actions/rerun/", reruns.run_again, name="run-again"),
    path("runs/<uuid:run_id>/actions/<slug:verb>/", actions.run_action, name="run-action"),
    path("sign-in/", access.sign_in, name="sign-in"),
    path("sign-in/<str:token>/", access.sign_in_link, name="sign-in-link"),
    path("sign-out/", access.sign_out, name="sign-out"),
    path("sagas/", sagas.saga_list, name="saga-list"),
    path("sagas/actions/new/", sagas.saga_new, name="saga-new"),
    path("sagas/actions/validate/", sagas.saga_validate, name="saga-validate-new"),
    path("sagas/actions/publish/", sagas.saga_publish, name="saga-publish-new"),
    path("sagas/actions/simulate/", simulation.saga_simulate_text, name="saga-simulate-new"),
    path("sagas/<slug:name>/", sagas.saga_detail, name="saga-detail"),
    path("sagas/<slug:name>/versions/<int:number>/", sagas.saga_version, name="saga-version"),
    path("sagas/<slug:name>/actions/validate/", sagas.saga_validate, name="saga-validate"),
    path("sagas/<slug:name>/actions/publish/", sagas.saga_publish, name="saga-publish"),
    path("sagas/<slug:name>/versions/<int:number>/simulate/", simulation.saga_simulate, name="saga-simulate"),
    path("sagas/<slug:name>/actions/simulate/", simulation.saga_simulate_text, name="saga-simulate-text"),
    path("sagas/<slug:name>/actions/start/", sagas.saga_start, name="saga-start"),
    path("services/", services.service_list, name="service-list"),
    path("services/actions/new/", services.service_new, name="service-new"),
    path("services/<slug:name>/", services.service_detail, name="service-detail"),
    path("services/<slug:name>/actions/edit/", services.service_edit, name="service-edit"),
    path("services/<slug:name>/actions/<slug:verb>/", services.service_action, name="service-action"),
    path("events/", events.event_map, name="event-map"),
    path("events/list/", events.event_list, name="event-list"),
    path("events/<uuid:event_id>/", events.event_detail, name="event-detail"),
    path("events/<uuid:event_id>/actions/<slug:verb>/", events.event_action, name="event-action"),
    path("webhooks/", webhooks.webhook_list, name="webhook-list"),
    path("webhooks/actions/new/", webhook_edit.webhook_new, name="webhook-new"),
    path("webhooks/<slug:name>/", webhooks.webhook_detail, name="webhook-detail"),
    path("webhooks/<slug:name>/actions/replay/", webhooks.webhook_replay, name="webhook-replay"),
    path("webhooks/<slug:name>/actions/edit/", webhook_edit.webhook_edit, name="webhook-edit"),
    path("webhooks/<slug:name>/actions/<slug:verb>/", webhook_edit.webhook_action, name="webhook-action"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("api/", include("sagas.api.urls")),
]
