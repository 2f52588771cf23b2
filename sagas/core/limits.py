"""Every bound in one place, each with its reason. Loops, queries and checks cite one of these."""

from __future__ import annotations

KIB = 1024

# ---- the document ---------------------------------------------------------

DOCUMENT_BYTES_MAX = 1024 * KIB  # as JSON, which programs write: a body of a request is no larger
YAML_BYTES_MAX = 256 * KIB  # people write it; reading so much takes about two seconds
DOCUMENT_PARTS_MAX = 200_000  # keys and values, as JSON: 10,000 steps of twenty
YAML_PARTS_MAX = 20_000  # keys and values, as YAML: each costs its reader 0.1 ms
JSON_DEPTH_MAX = 64  # deeper nesting exhausts the stack of parsers that recurse; no person writes it
REDACTED_MAX = 200  # hidden places of one saga, those that plain paths add included: each is looked for in each write
STEPS_MAX = 10_000  # each decision looks at all of them once, in less time than its commit takes
LABELS_MAX = 10  # each label is searched on its own
NAME_LENGTH_MAX = 64  # of sagas, steps and labels: the width of the columns they are stored in
TITLE_LENGTH_MAX = 200  # one line on a wide screen; the width of the column
DESCRIPTION_LENGTH_MAX = 10_000  # a page of prose; more belongs in a manual
PARALLEL_MAX = 100  # items of one list at once: each holds a thread of a worker or a connection of a service
UNIT_LENGTH_MAX = 40  # shown beside a number
ACTION_NAME_LENGTH_MAX = 200  # a dotted Python name
PROBLEMS_MAX = 100  # what one answer lists; nobody reads more before mending the first ones

# ---- time -----------------------------------------------------------------

TIMEOUT_S_MIN = 0.01  # shorter than a thread switch under load: every attempt would end unknown
TIMEOUT_S_MAX = 86_400.0  # one day: an attempt holds a thread of a worker
DEADLINE_S_MAX = 400 * 86_400.0  # a year and a bit: a run that takes longer is not a run
RETRY_ATTEMPTS_MAX = 1_000  # a finite policy above this is better said as `forever`
RETRY_WAIT_S_MAX = 30 * 86_400.0  # a month between two tries
RETRY_FACTOR_MAX = 10.0  # grows past every sensible `max` in a few tries already
CALLBACK_DRAIN_S_MAX = 60.0  # a run that turns waits no longer for services to call back (rule 2 of the law)
PROBE_TRIES_MAX = 3  # after one unknown outcome (rule 18 of the law); then the action itself is tried again

# ---- lists ----------------------------------------------------------------

ITEMS_MAX = 10_000  # of one list: each is a row; more is a saga per item, started by its own key

ITEMS_SHOWN_MAX = 50  # of one list on a page and in an answer: what matters first; a screen or two

# ---- what comes from outside ----------------------------------------------

SIGNALS_KEPT_MAX = 100  # signals of one run that no step waits for yet: they are written with each change of the run
SIGNALS_KEPT_BYTES_MAX = 256 * KIB  # of these, the payloads together; one alone may be as large as any payload
PROMPT_LENGTH_MAX = 500  # what a person is asked: two lines above two buttons

PAYLOAD_BYTES_MAX = 256 * KIB  # input, output, signal, event: it is copied into rows and journal lines
MESSAGE_LENGTH_MAX = 1_000  # characters of an error in a journal: it is read on a page; a traceback belongs in the log
REQUEST_PATH_LENGTH_MAX = 2_000  # of a call to a service, its values encoded: what servers commonly take
REQUEST_NAMES_MAX = 50  # headers of one call, and names in its query: servers commonly take a hundred
HEADER_LENGTH_MAX = 4_000  # characters of one value: servers commonly take 8 KiB for all of them
KEY_LENGTH_MAX = 200  # a business key: the width of its column, which is indexed

SCHEMA_CHECKS_MAX = 1_000_000  # of one input against its schema: a tenth of a second
SCHEMA_PAIRS_MAX = 200_000  # parts of a schema with parts of an input, counted beforehand: a third of a second
SCHEMA_CHAIN_MAX = 150  # references and nesting below each other: the validator recurses, and no person follows more

# ---- events ---------------------------------------------------------------

EVENTS_KEPT_MAX = 100  # of one run, that answer reactions not begun yet: they are written with each change of the run
EVENTS_PER_RUN_MAX = 20_000  # those that begin reactions; each is a row, more are only counted
EVENT_DEPTH_MAX = 50  # events that follow from each other: more of them go round
EVENT_NAME_LENGTH_MAX = 200  # characters of an id and of a source: both go into the key of a call
EVENT_TYPE_LENGTH_MAX = 128  # characters: it is a heading of a table
EVENT_TYPES_MAX = 50  # in one list of a document: a row of a table each; and of a webhook subscription
REACTIONS_MAX = 200  # of one choreography: as many as a person can still follow on a map
WAYS_MAX = 10_000  # steps of ways through a choreography, followed when it is checked: a second or so at worst
EVENTS_PER_BATCH_MAX = 500  # in one request; they are written in one transaction

# ---- expressions ----------------------------------------------------------

EXPRESSION_LENGTH_MAX = 2_000  # characters; a longer one is a program and belongs in an action
EXPRESSION_PLUSES_MAX = 32  # `+` joins text: so many copies of a payload are 8 MiB at most
LOOP_ENTRIES_MAX = 1_000  # entries of a list under map or filter: the library takes time by their square (28 ms here)
LOOPS_MAX = 8  # loops over that many entries in all expressions of one value: 140 MB and a quarter of a second at worst
EXPRESSIONS_PER_VALUE_MAX = 200  # computed ones in one `with`, key or output (plain paths are free): each takes 10 µs
COMPILED_KEPT_MAX = 1_024  # compiled definitions and validators kept; each is a few KiB

# ---- sub-sagas -------------------------------------------------------------

DEPTH_MAX = 10  # runs within each other: a saga that runs itself ends here, and no person follows more

# ---- services ---------------------------------------------------------------

SERVICES_MAX = 1_000  # of one registry: each pump reads all of them, and a page lists them
SERVICE_ADDRESS_LENGTH_MAX = 500  # the width of its column
SUBSCRIPTIONS_MAX = 100  # of webhooks: each change of a run is held against all of them
SERVICE_CONCURRENCY_MAX = 10_000  # calls in flight at one service: more than all pumps of an installation can hold
FORMER_SECRET_S_MAX = 30 * 86_400.0  # a month for a service to change over; a secret valid for longer is not replaced
SERVICES_SHOWN_MAX = 100  # on one page of the list: a tenth of a second
SERVICE_CHANGES_SHOWN_MAX = 50  # of one service on its page, the newest; the admin has all

# ---- simulations ----------------------------------------------------------

SIMULATED_ENTRIES_MAX = 10_000  # of one simulated journal: ten times what 200 steps need; eight seconds at worst
SIMULATED_FOREVER_MAX = 10  # attempts of a half that is retried for ever and never succeeds: then it is said so
SIMULATED_ATTEMPT_MAX = 1_000  # the highest attempt a script can speak of: the longest finite policy
SIMULATED_ORDERS_MAX = 100  # of one script; a person gives a handful
SIMULATED_RENDERINGS_MAX = 5_000  # CEL expressions evaluated in one simulation: twelve for each half of 200 steps
EXAMPLE_PARTS_MAX = 1_000  # values, entries and characters of an input made from a schema; a small one explains more
