"""What each key of a definition is called and means, for editors: a title, and a sentence or two."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """What an editor shows of one key."""

    title: str
    description: str


FORMAT = Words(
    "Saga definition",
    "One saga: the steps to do, and what undoes each of them. Only `saga` and `steps` are needed.",
)

SAGA = {
    "saga": Words("Name", "Small letters, digits and single dashes, such as create-order. Unique, and fixed for life."),
    "title": Words("Title", "For people. Made from the name when missing."),
    "style": Words("Style", "orchestration: the steps are driven from here. choreography: services react to events."),
    "description": Words("Description", "What the saga is for, in prose."),
    "input": Words("Input", "A JSON Schema (2020-12) of what a run begins with; the start form is made from it."),
    "key": Words(
        "Business key",
        "An expression over `input`, such as ${input.order_id}. One run for each value: starting again with the same "
        "key and input gives the same run.",
    ),
    "labels": Words("Labels", "Names and values by which runs are found, such as customer: ${input.customer}."),
    "amount": Words("Amount", "What is at stake in a run, as a whole number in the unit that `unit` says."),
    "unit": Words("Unit", "Of `amount`, such as EUR cents."),
    "output": Words("Output", "What a completed run gives back: any value, with expressions over its steps."),
    "deadline": Words("Deadline", "Of the whole run, counted from its start. Passed before the pivot, it is undone."),
    "on_compensation_failure": Words(
        "When a compensation fails",
        "stop: what would follow on that branch waits for a person. continue: the other compensations go on.",
    ),
    "in_doubt": Words(
        "When nobody knows whether a step happened",
        "compensate: undo it, in case it did. ask: wait until a person settles it.",
    ),
    "defaults": Words("Defaults", "For every step that does not say otherwise."),
    "steps": Words("Steps", "One after the other in the order written, unless `after` says otherwise."),
    "starts_on": Words("Starts on", "Events that begin a run."),
    "correlate": Words("Correlate", "An expression over the event; one run for each value."),
    "completes_on": Words("Completes on", "Events that complete the run."),
    "compensated_on": Words("Compensated on", "Events after which the run is compensated."),
    "publishes": Words("Publishes", "Events that come from outside the reactions, by service."),
    "early": Words("Early events", "What becomes of an event that has no run yet."),
    "redact": Words(
        "Redact",
        "Places in the data of its events, such as event.data.card.number, which are shown as ••• and encrypted at "
        "rest, here and wherever a plain path such as ${event.data.card} carries the value.",
    ),
    "reactions": Words("Reactions", "What each service does on which event."),
}

STEP = {
    "name": Words("Name", "Small letters, digits and underscores. Expressions say steps.<name>.output."),
    "title": Words("Title", "For people. Made from the name when missing."),
    "action": Words(
        "Action",
        "What it calls: a registered Python action by its dotted name, or a service over HTTP or by a command.",
    ),
    "with": Words("Arguments", "By name: any values, with ${…} in text for what is known when the step begins."),
    "after": Words(
        "After",
        "Names of the steps it comes after. Without it, the step above; [] starts at once. Steps with no order between "
        "them run beside each other.",
    ),
    "when": Words("When", "True or false when the step's turn comes. False: it is skipped and its output is null."),
    "compensation": Words(
        "Compensation",
        "What undoes the step, or none. Every step before the pivot that changes something must say one.",
    ),
    "pivot": Words(
        "Pivot", "The point of no return, at most once: before it all can be undone, after it the run only goes on."
    ),
    "timeout": Words("Time-out", "Of one attempt; afterwards nobody knows its outcome."),
    "retry": Words("Retry", "How often and how fast an attempt without success is tried again."),
    "for_each": Words("For each", "An expression that gives a list: the step is done once for each `item`."),
    "max_parallel": Words("At once", "How many items of `for_each` are under way at the same time."),
    "sleep": Words("Sleep", "Wait for this long; no worker is held."),
    "sleep_until": Words(
        "Sleep until", "A moment, such as 2026-07-01T09:00:00Z, or an expression that gives one; no worker is held."
    ),
    "wait_for": Words("Wait for", "Until a signal comes, or the time is over."),
    "approval": Words("Approval", "Until a person of the group says yes or no."),
    "run": Words("Sub-saga", "The name of a saga that is run as this step; `with` is its input."),
    "probe": Words("Probe", "What settles an unknown outcome by looking."),
    "redact": Words(
        "Redact",
        "Places such as with.card.number, output.token or compensation.with.card, which are shown as ••• and encrypted "
        "at rest, here and wherever a plain path such as ${input.card} carries the value.",
    ),
}

REACTION = {
    "name": Words("Name", "Small letters, digits and underscores."),
    "title": STEP["title"],
    "service": Words("Service", "Who does it. That of the action when missing."),
    "on": Words("On", "Types of events, any of which it reacts to."),
    "action": STEP["action"],
    "external": Words("External", "The service does it by itself and only publishes: it is watched, not called."),
    "with": Words("Arguments", "By name: any values, with ${…} over the event, such as ${event.data.order_id}."),
    "emits": Words("Emits", "The types of the events that say what became of it."),
    "within": Words("Within", "How long it usually takes until it emits. Later, it is shown as overdue."),
    "undoes": Words("Undoes", "The name of the reaction that this one undoes."),
    "compensation": Words("Compensation", "none: there is nothing to undo. What undoes it otherwise is a reaction."),
    "timeout": STEP["timeout"],
    "retry": STEP["retry"],
    "probe": STEP["probe"],
    "redact": Words(
        "Redact",
        "Places such as with.card.number or output.token, which are shown as ••• and encrypted at rest, here and "
        "wherever a plain path such as ${event.data.card} carries the value.",
    ),
}

EMITS = {
    "succeeded": Words("When it succeeded", "The type of the event."),
    "rejected": Words("When it was refused", "The type of the event: nothing happened, and others undo what they did."),
}

COMPENSATION = {
    "action": Words("Action", "What undoes the step: a registered Python action by its dotted name, or a service."),
    "with": Words(
        "Arguments",
        "By name. Besides `input` and earlier steps: step.input, step.outcome, reason, and step.output, which may be "
        "missing when nobody knows whether the step happened.",
    ),
    "timeout": Words("Time-out", "Of one attempt; as the step's when missing."),
    "retry": Words("Retry", "How often and how fast the compensation is tried again."),
}

ACTION = {
    "python": Words("Python action", "The dotted name of a registered Python action."),
    "http": Words("HTTP", "A request to a registered service."),
    "command": Words("Command", "A command message to a service behind a broker."),
}

HTTP = {
    "service": Words("Service", "The name of a registered service."),
    "method": Words(
        "Method", "POST when missing; of a probe GET. A GET or HEAD changes nothing, so nothing undoes it."
    ),
    "path": Words(
        "Path", "Below the service's address, beginning with /. The value of each ${…} is encoded into its place."
    ),
    "headers": Words("Headers", "By name: text with ${…}. One that is null is left out."),
    "query": Words("Query", "By name: values, or lists of them. One that is null is left out."),
    "body": Words("Body", "Any value, sent as JSON; `with` when missing."),
    "async": Words("Asynchronous", "The service may answer 202 and tell the outcome later, by a callback."),
}

COMMAND = {
    "service": Words("Service", "The name of a registered service."),
    "name": Words("Name", "What the service is told to do; `with` is what it is told with it."),
}

DEFAULTS = {
    "timeout": STEP["timeout"],
    "retry": STEP["retry"],
    "compensation_retry": Words("Retry of compensations", "How often and how fast compensations are tried again."),
}

RETRY = {
    "attempts": Words("Attempts", "How many, the first one included; or forever."),
    "initial": Words("First wait", "Before the second attempt."),
    "factor": Words("Factor", "By which each wait is longer than the one before."),
    "max": Words("Longest wait", "No wait is longer."),
    "jitter": Words("Jitter", "Each wait is longer or shorter by up to this part of it."),
}

WAIT_FOR = {
    "signal": Words("Signal", "Its name."),
    "timeout": Words("Time-out", "How long to wait."),
    "on_timeout": Words("On time-out", "fail: the step has failed. continue: the run goes on."),
}

APPROVAL = {
    "group": Words("Group", "Who may say yes or no: a role, or a group of this name."),
    "prompt": Words("Question", "What they are asked; may hold ${…}."),
    "timeout": Words("Time-out", "How long to wait for an answer."),
    "on_timeout": WAIT_FOR["on_timeout"],
}
