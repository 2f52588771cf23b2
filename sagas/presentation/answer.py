"""What an answer to "why is this run where it is?" is made of; the rules are in `why.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from sagas.presentation.sentence import Sentence
    from sagas.presentation.status import Tone
    from sagas.queries.run_detail import RunDetail, StepDetail


@dataclass(frozen=True, slots=True)
class Help:
    """Where to look next."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Why:
    """The answer: a stable code, sentences, how it looks, where to look next."""

    code: str
    sentences: tuple[Sentence, ...]
    tone: Tone
    icon: str
    helps: tuple[Help, ...] = ()

    @property
    def text(self) -> str:
        """The answer in plain words."""
        return " ".join(str(sentence) for sentence in self.sentences)


def help_about(detail: RunDetail, step: StepDetail) -> Help:
    """Lead to every try of a step, or to what it waits for."""
    url = reverse("sagas:step-detail", args=[detail.run.id, step.key])
    label = _("See every try of “%(step)s”") if step.plan.wait is None else _("See “%(step)s”")
    return Help(label % {"step": step.plan.title}, url)
