"""The content of model cards in requests: JSON that keeps AWS's schema of cards."""

from __future__ import annotations

from tidemill.gateway.wire.errors import invalid
from tidemill.spec import model_card
from tidemill.spec.model_card import CARD, Fields


def check(content: str, rule: Fields = CARD) -> None:
    """Raise unless it is a model card."""
    if wrong := model_card.problem(content, rule):
        raise invalid(f"Model card content does not keep the model card JSON schema: {wrong}.")
