"""What every built-in algorithm is: four verbs over a bounded state that is plain data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from tidemill.data.batch import Batch
from tidemill.data.content_type import ContentType
from tidemill.data.seam import Seam

State = TypeVar("State")
Columns = Mapping[str, NDArray[Any]]
"""Answers by name: each (rows,) or (rows, width)."""
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What ``map`` does, perhaps side by side: results come in the order of the items."""
VECTORS = (
    "application/x-recordio-protobuf",
    "text/csv",
    "application/jsonlines",
    "application/x-parquet",
    "application/x-npy",
)
"""Content types of channels whose rows are vectors."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about a model, as it is logged.

    name: the words of the log line, without channel (``msd``, ``binary_f_1.000``)
    kind: ``loss`` is better low, ``score`` is better high
    """

    name: str
    value: float
    kind: Literal["loss", "score"] = "loss"


class Model(Protocol):
    """What finalize makes and an endpoint serves: a frozen dataclass of arrays and scalars.

    Knows nothing of how it was trained; saved and loaded by ``artifact.codec`` alone. One that has
    an attribute ``row_by_row``, and it is true, answers each row with the same bytes whatever rows
    are asked with it; answers in parts are then predicted in parts, too.
    """

    def predict(self, batch: Batch) -> Columns: ...


class Dialogue(Protocol):
    """How requests become rows and answers bytes, for algorithms that have their own way.

    accepts: media types that answers can have, the preferred one first
    """

    accepts: Sequence[str]

    def decode(self, body: bytes, content_type: ContentType) -> Batch:
        """The rows of one request; raises UnsupportedType for its type, else InvalidData."""
        ...

    def encode(self, columns: Columns, batch: Batch, accept: ContentType) -> bytes:
        """The answer to the rows of one request; accept: one of ``accepts``, with parameters."""
        ...


@runtime_checkable
class Seamed(Protocol):
    """A dialogue whose answers can be put together of those to slices of their rows.

    seams: media type → how
    """

    seams: Mapping[str, Seam]


class Evaluation(Protocol):
    """Mergeable evidence about a model on held-out rows."""

    def merge(self, other: Any) -> Any: ...
    def measures(self) -> Sequence[Measure]: ...


class Algorithm(ABC, Generic[State]):
    """A fold over a stream of batches.

    ``start()`` gives the empty state; ``update`` takes in a batch; ``merge`` joins the states of
    two workers that saw different rows; ``finalize`` makes the model. A state is a frozen
    dataclass whose fields are arrays, numbers, text, None, tuples of these, or such dataclasses;
    its size depends on the hyperparameters and the columns, never on the rows seen. It sizes
    itself on the first batch. A state may be changed in place: whoever passes one in gives it up.

    One pass over the data is the default. An algorithm that wants more overrides the verbs below:
    the training loop (``training.loop``) calls them in this order, for every pass::

        update* (until the data or ``pass_is_over``) → merge over workers → hold_out* → close_pass
        → report → wants_another_pass

    Between two ``close_pass`` all workers go on from the same closed state, and ``merge`` joins
    only the evidence gathered since. Randomness is counter-based: a function of the seed and of
    counters kept in the state, so that a resumed run draws what the unbroken one would have.
    """

    exact: bool = True
    """Whether merge gives the whole stream's model (to rounding), whatever the batch size."""

    batch_rows: int = 5_000
    """Rows a batch, as the hyperparameters ask (``mini_batch_size``)."""

    @abstractmethod
    def start(self) -> State: ...

    @abstractmethod
    def update(self, state: State, batch: Batch) -> State: ...

    @abstractmethod
    def merge(self, left: State, right: State) -> State: ...

    @abstractmethod
    def finalize(self, state: State) -> Model: ...

    def reopen(self, state: State, *, leads: bool = True) -> State:
        """The state that an earlier training ended with, ready to take in further rows.

        The earlier algorithm may have had other hyperparameters: ``finalize`` of what comes back
        is the model that these hyperparameters make of all that was seen, without its data; with
        the same ones it is the earlier model. Passes and epochs count anew. Raises Invalid where
        the hyperparameters cannot go with the state (another ``feature_dim``).

        leads: whether this worker is the one to count what was seen before. The others start from
        it too, but where ``merge`` adds evidence up they must bring none of it along a second time.
        """
        return state

    fades: bool = False
    """Whether ``faded`` lets older rows count less."""

    def faded(self, state: State, left: float) -> State:
        """A state that training ended with, in which all rows seen count ``left`` of what they did.

        Endpoints that learn with a half-life go on from it. left: from 0 to 1
        """
        return state

    def evaluate(self, model: Any, batch: Batch) -> Evaluation | None:
        """Evidence of the model's quality on labelled (or any) rows; None when it has none."""
        return None

    def pass_is_over(self, state: State) -> bool:
        """Whether this pass needs no more rows, though the stream has some."""
        return False

    def order(self, pass_: int) -> int:
        """Which pass's order of rows a pass reads, where the channel is shuffled."""
        return pass_

    def holds_out(self, state: State) -> bool:
        """Whether the validation channel is to be read after this pass."""
        return True

    def hold_out(self, state: State, batch: Batch) -> State:
        """Take in one batch of the validation channel after a pass."""
        return state

    def close_pass(self, state: State) -> State:
        """End a pass: fold the evidence in, reset what was gathered."""
        return state

    def wants_another_pass(self, state: State) -> bool:
        return False

    def is_worth_saving(self, state: State) -> bool:
        """Whether a checkpoint of this state, amid a pass, spares more than it costs."""
        return True

    def progress(self, state: State) -> float:
        """Fraction of the passes done, 0..1, right after ``close_pass``."""
        return 1.0

    def epoch(self, state: State, pass_: int) -> int | None:
        """Which epoch a pass (counted from 0) is, as the log counts them.

        None for a pass that trains nothing, such as a first look at the rows. state: any of during
        the pass, or the one it was closed with.
        """
        return pass_

    def report(self, state: State) -> Mapping[str, Sequence[Measure]]:
        """What to log after an epoch, by channel (``train``, ``validation``)."""
        return {}

    def lines(self, state: State) -> Sequence[str]:
        """Further lines for the log after a pass, printed as they are."""
        return ()

    def criterion(self, state: State) -> Measure | None:
        """What decides after an epoch whether training goes on; None where nothing does."""
        return None

    def outcome(self, state: State) -> Sequence[Measure]:
        """What to log of the training rows once training is over."""
        return self.report(state).get("train", ())

    def remarks(self, model: Any) -> Sequence[str]:
        """Further lines for the log about the final model."""
        return ()


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """A documented metric: name as DescribeTrainingJob gives it, and the regex that finds it."""

    name: str
    regex: str
    direction: Literal["Minimize", "Maximize"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that the platform needs to know of a built-in: one constant in the algorithm's file.

    name: SageMaker's repository name · build: hyperparameters → algorithm · model: its class
    content_types: what channels may hold, SageMaker's own first
    label_size: label columns that a CSV, Parquet or .npy row starts with when the content type is
    silent
    response_key: the JSON answer's list · csv_accept: content type answered to CSV when the
    request names no Accept
    response_columns: of each row's answer; verbose_columns: more of them, for ``verbose=true`` in
    the Accept header
    default_content_type: of a channel, or request, that names none
    most_hosts: instances that a job may have; None for any number
    allows_missing: whether features may be NaN
    dialogue: in place of the common requests and answers
    exports: further files of the artifact, for other tools, from the model
    imports: the model from the files of an artifact that Tidemill did not write
    learns: what endpoints of it learn from while they serve: rows with labels, rows alone, or None
    epochs_of_feedback: over the rows that such an endpoint is told, where not those of training
    """

    name: str
    title: str
    hyperparameters: type[Any]
    algorithm: type[Any]
    model: type[Any]
    metrics: tuple[MetricDeclaration, ...]
    channels: tuple[str, ...] = ("train", "test")
    content_types: tuple[str, ...] = VECTORS
    label_size: int = 0
    response_key: str = "predictions"
    csv_accept: str = "text/csv"
    response_columns: tuple[str, ...] = ()
    verbose_columns: tuple[str, ...] = ()
    default_content_type: str = VECTORS[0]
    most_hosts: int | None = None
    allows_missing: bool = False
    dialogue: Dialogue | None = None
    exports: Callable[[Any], Mapping[str, bytes]] | None = None
    imports: Callable[[Path], Any] | None = None
    learns: Literal["labels", "rows"] | None = None
    epochs_of_feedback: int | None = None
