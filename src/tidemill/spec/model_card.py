"""What may stand in a model card: AWS's model card JSON schema, as data that a walk checks.

Two cards are alike but for their overview: a card of its own (``CARD``), and the card inside a
model package (``PACKAGE_CARD``), which knows its model already. Where the schema names a bound but
does not enforce it (``maxContains`` alone, patterns that may match within), neither does this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """least, most: characters · among: the only values, where there are any"""

    most: int | None = None
    least: int = 0
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number; not a boolean."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever JSON can say."""


@dataclass(frozen=True, slots=True)
class Several:
    """A list. most: items"""

    of: Rule
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. others: what further members hold; without it there may be none"""

    members: Mapping[str, Rule] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: Rule | None = None


Rule = Text | Number | Anything | Several | Fields

_NAME = Text(least=1)
_LINE, _PARAGRAPH = Text(1024), Text(2048)
_LINES = Several(_LINE)
_IMAGES = Fields({"container_image": _LINES})
_TRAINING_METRIC = Fields(
    {"name": _NAME, "notes": _LINE, "value": Number()}, required=("name", "value")
)
_HYPERPARAMETER = Fields({"name": _NAME, "value": _NAME}, required=("name", "value"))
# What a value looks like depends on the type: numbers, texts, lists of them, lists of lists.
_METRIC = Fields(
    {
        "name": _NAME,
        "notes": _LINE,
        "type": Text(among=("number", "string", "boolean", "linear_graph", "bar_chart", "matrix")),
        "value": Anything(),
        "x_axis_name": Anything(),
        "y_axis_name": Anything(),
    },
    required=("name", "type", "value"),
)
_METRIC_GROUP = Fields(
    {"name": _NAME, "metric_data": Several(_METRIC)},
    required=("name", "metric_data"),
    others=Anything(),
)
_EVALUATION = Fields(
    {
        "name": _NAME,
        "evaluation_observation": Text(2096),
        "evaluation_job_arn": Text(256),
        "datasets": Several(_LINE, 10),
        "metadata": Fields(others=_LINE),
        "metric_groups": Several(_METRIC_GROUP),
    },
    required=("name",),
)
_TRAINING_JOB = Fields(
    {
        "training_arn": _LINE,
        "training_datasets": _LINES,
        "training_environment": _IMAGES,
        "training_metrics": Several(_TRAINING_METRIC),
        "user_provided_training_metrics": Several(_TRAINING_METRIC),
        "hyper_parameters": Several(_HYPERPARAMETER),
        "user_provided_hyper_parameters": Several(_HYPERPARAMETER),
    }
)
_SECTIONS: dict[str, Rule] = {
    "intended_uses": Fields(
        {
            "purpose_of_model": _PARAGRAPH,
            "intended_uses": _PARAGRAPH,
            "factors_affecting_model_efficiency": _PARAGRAPH,
            "risk_rating": Text(among=("High", "Medium", "Low", "Unknown")),
            "explanations_for_risk_rating": _PARAGRAPH,
        }
    ),
    "business_details": Fields(
        {
            "business_problem": _PARAGRAPH,
            "business_stakeholders": _PARAGRAPH,
            "line_of_business": _PARAGRAPH,
        }
    ),
    "training_details": Fields(
        {
            "objective_function": Anything(),
            "training_observations": _LINE,
            "training_job_details": _TRAINING_JOB,
        }
    ),
    "evaluation_details": Several(_EVALUATION),
    "additional_information": Fields(
        {
            "ethical_considerations": _PARAGRAPH,
            "caveats_and_recommendations": _PARAGRAPH,
            "custom_details": Fields(others=_LINE),
        }
    ),
}
_OVERVIEW: dict[str, Rule] = {"model_creator": _LINE, "model_artifact": _LINES}
_OWN_OVERVIEW: dict[str, Rule] = {
    **_OVERVIEW,
    "model_description": _LINE,
    "model_id": _LINE,
    "model_name": _LINE,
    "model_version": Number(),
    "model_owner": _LINE,
    "problem_type": Text(),
    "algorithm_type": _LINE,
    "inference_environment": _IMAGES,
}
CARD = Fields(
    {
        **_SECTIONS,
        "model_overview": Fields(_OWN_OVERVIEW),
        "model_package_details": Fields(others=Anything()),
    }
)
PACKAGE_CARD = Fields({**_SECTIONS, "model_overview": Fields(_OVERVIEW)})
_TOLD_WITHOUT_KEY = (
    ("model_overview", ("model_id", "model_name")),
    ("intended_uses", ("risk_rating",)),
    ("model_package_details", ("model_package_group_name", "model_package_arn")),
)


def problem(content: str, rule: Fields = CARD) -> str:
    """What is wrong with the first wrong value of a card, or nothing.

    >>> problem('{"intended_uses": {"risk_rating": "Huge"}}')
    "$.intended_uses.risk_rating must be one of High, Medium, Low, Unknown; got 'Huge'"
    >>> problem("{}")
    ''
    """
    try:
        card = json.loads(content)
    except (ValueError, RecursionError):
        return f"it must be an object in JSON; got {content!r:.80}"
    return next(_wrong(card, rule, "$"), "")


def metadata_only(content: str) -> str:
    """A card without what a key of its own would hide: ids, names and the risk rating.

    >>> metadata_only('{"model_overview": {"model_name": "mill", "model_owner": "Ada"}}')
    '{"model_overview": {"model_name": "mill"}}'
    """
    card = json.loads(content)
    told = {
        section: {name: card[section][name] for name in names if name in card[section]}
        for section, names in _TOLD_WITHOUT_KEY
        if section in card
    }
    return json.dumps({section: kept for section, kept in told.items() if kept})


def about(content: str) -> dict[str, str]:
    """What a card says of its model: ModelId, ModelPackageGroupName, RiskRating, where it does.

    >>> about('{"model_package_details": {"model_package_arn": "arn:1"}}')
    {'ModelId': 'arn:1'}
    """
    card = json.loads(content)
    overview = card.get("model_overview", {})
    package = card.get("model_package_details", {})
    said = {
        "ModelId": overview.get("model_id", package.get("model_package_arn")),
        "ModelPackageGroupName": package.get("model_package_group_name"),
        "RiskRating": card.get("intended_uses", {}).get("risk_rating"),
    }
    return {name: value for name, value in said.items() if isinstance(value, str)}


def _wrong(value: Any, rule: Rule, at: str) -> Iterator[str]:
    if isinstance(rule, Text):
        yield from _wrong_text(value, rule, at)
    elif isinstance(rule, Number):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{at} must be a number; got {value!r:.80}"
    elif isinstance(rule, Several):
        yield from _wrong_list(value, rule, at)
    elif isinstance(rule, Fields):
        yield from _wrong_object(value, rule, at)


def _wrong_text(value: Any, rule: Text, at: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{at} must be text; got {value!r:.80}"
    elif rule.among and value not in rule.among:
        yield f"{at} must be one of {', '.join(rule.among)}; got {value!r:.80}"
    elif len(value) < rule.least:
        yield f"{at} must not be empty"
    elif rule.most is not None and len(value) > rule.most:
        yield f"{at} must have at most {rule.most} characters; got {len(value)}"


def _wrong_list(value: Any, rule: Several, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at} must be a list; got {value!r:.80}"
        return
    if rule.most is not None and len(value) > rule.most:
        yield f"{at} must have at most {rule.most} items; got {len(value)}"
    for index, item in enumerate(value):
        yield from _wrong(item, rule.of, f"{at}[{index}]")


def _wrong_object(value: Any, rule: Fields, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} must be an object; got {value!r:.80}"
        return
    for name in rule.required:
        if name not in value:
            yield f"{at}.{name} is missing"
    for name, item in value.items():
        inner = rule.members.get(name, rule.others)
        if inner is None:
            yield f"{at} has no member {name!r:.80}; there are: {', '.join(rule.members)}"
        else:
            yield from _wrong(item, inner, f"{at}.{name}")
