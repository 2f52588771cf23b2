"""Publishing, loading and drafts, on the real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection

from sagas.catalog import drafts
from sagas.catalog.errors import (
    DocumentInvalidError,
    PublishConflictError,
    SagaNameMismatchError,
    VersionUnknownError,
)
from sagas.catalog.load import load_version
from sagas.catalog.publish import publish
from sagas.core.definition import ActionFacts
from sagas.core.limits import DOCUMENT_BYTES_MAX
from sagas.models import Draft, Saga, SagaVersion
from sagas.participants import registry


def source(title: str = "Book a trip", saga: str = "book-trip") -> str:
    return f"saga: {saga}\ntitle: {title}\nsteps:\n  - {{name: book, action: travel.book, compensation: none}}\n"


@pytest.mark.django_db
def test_the_first_version_is_number_one_and_the_latest():
    published = publish(source(), by="alice", is_demo=True)
    saga = Saga.objects.get(name="book-trip")
    assert (published.version.number, published.is_new, published.version.published_by) == (1, True, "alice")
    assert (saga.latest, saga.title, saga.is_demo) == (published.version, "Book a trip", True)
    assert published.version.source == source()
    assert [warning.code for warning in published.warnings] == ["action_unknown"]


@pytest.mark.django_db
def test_the_same_content_is_the_same_version_however_it_is_written():
    first = publish(source(), by="alice")
    again = publish("# said again\n" + source().replace("Book a trip", "'Book a trip'"), by="bob", base=0)
    assert (again.version, again.is_new) == (first.version, False)


@pytest.mark.django_db
def test_going_back_to_an_older_content_is_a_new_version():
    publish(source("One"), by="alice")
    publish(source("Two"), by="alice")
    back = publish(source("One"), by="alice")
    assert (back.version.number, back.is_new) == (3, True)
    assert Saga.objects.get().title == "One"


@pytest.mark.django_db
def test_who_started_from_an_older_version_is_told_the_latest():
    publish(source("One"), by="alice", base=0)
    publish(source("Two"), by="alice", base=1)
    with pytest.raises(PublishConflictError) as caught:
        publish(source("Three"), by="bob", base=1)
    assert caught.value.latest == 2
    with pytest.raises(PublishConflictError, match="no version is published yet"):
        publish(source(saga="other"), by="bob", base=1)
    assert [saga.name for saga in Saga.objects.all()] == ["book-trip"]


@pytest.mark.django_db
def test_a_document_of_another_saga_is_refused():
    with pytest.raises(SagaNameMismatchError, match="of the saga `book-trip`, not of `other`"):
        publish(source(), by="alice", saga="other")


@pytest.mark.django_db
def test_a_wrong_document_leaves_no_trace():
    with pytest.raises(DocumentInvalidError) as caught:
        publish("saga: x\nsteps: 1\ntitel: x\n", by="alice")
    assert [problem.path for problem in caught.value.problems] == ["steps", "titel"]
    assert not Saga.objects.exists()


@pytest.mark.django_db
def test_a_version_loads_as_its_document_says_and_then_without_a_query(django_assert_num_queries):
    version = publish(source(), by="alice").version
    with django_assert_num_queries(1):
        definition = load_version(version.id)
    with django_assert_num_queries(0):
        assert load_version(version.id) is definition
    assert (definition.title, definition.content_hash) == ("Book a trip", version.content_hash)


@pytest.mark.django_db
def test_a_loaded_version_follows_the_registry(monkeypatch):
    version = publish(source("Registry"), by="alice").version
    assert not load_version(version.id).steps[0].action.is_atomic
    monkeypatch.setattr(registry, "facts", lambda: {"travel.book": ActionFacts(is_atomic=True)})
    assert load_version(version.id).steps[0].action.is_atomic


@pytest.mark.django_db
def test_a_version_whose_stored_hash_is_not_its_documents_own_loads_all_the_same():
    version = publish(source("Restored"), by="alice").version
    SagaVersion.objects.filter(id=version.id).update(content_hash="of another release")
    definition = load_version(version.id)
    assert load_version(version.id) is definition


@pytest.mark.django_db
def test_a_saga_stored_before_its_name_was_reserved_still_loads():
    version = publish(source("Before"), by="alice").version
    SagaVersion.objects.filter(id=version.id).update(document=version.document | {"saga": "new"}, content_hash="old")
    assert load_version(version.id).saga == "new"


@pytest.mark.django_db
def test_an_unknown_version_is_an_error():
    with pytest.raises(VersionUnknownError):
        load_version(uuid4())


@pytest.mark.django_db(transaction=True)
def test_versions_published_at_once_are_numbered_without_gaps():
    def one(number: int) -> tuple[int, bool]:
        try:
            done = publish(source(f"Title {number % 8}"), by=f"person {number}")
        finally:
            connection.close()
        return done.version.number, done.is_new

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(24)))
    numbers = sorted(SagaVersion.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(number for number, is_new in results if is_new) == numbers
    assert Saga.objects.get().latest.number == numbers[-1]


@pytest.mark.django_db
def test_a_person_has_one_draft_of_a_saga_and_it_may_be_wrong():
    alice, bob = User.objects.create(username="alice"), User.objects.create(username="bob")
    drafts.save_draft("book-trip", alice, "saga: [", base=3)
    drafts.save_draft("book-trip", alice, "saga: {", base=4)
    draft = drafts.get_draft("book-trip", alice)
    assert (Draft.objects.count(), draft.source, draft.base_number) == (1, "saga: {", 4)
    assert drafts.get_draft("book-trip", bob) is None
    assert [drafts.discard_draft("book-trip", alice) for _ in range(2)] == [True, False]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * DOCUMENT_BYTES_MAX])
def test_a_draft_the_database_cannot_hold_is_refused(text):
    with pytest.raises(DocumentInvalidError):
        drafts.save_draft("book-trip", User.objects.create(username="alice"), text)
