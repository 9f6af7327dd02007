"""Every hyperparameter of xgboost, as SageMaker documents it."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter
from tidemill.algorithms.xgboost import metrics

NAME = "xgboost"
OBJECTIVES = (
    "reg:squarederror",
    "reg:linear",
    "reg:logistic",
    "reg:gamma",
    "reg:tweedie",
    "reg:pseudohubererror",
    "reg:squaredlogerror",
    "reg:absoluteerror",
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
    "survival:cox",
    "survival:aft",
)
TREE_UPDATERS = (
    "grow_colmaker",
    "grow_histmaker",
    "grow_quantile_histmaker",
    "grow_skmaker",
    "distcol",
    "sync",
    "refresh",
    "prune",
)
LINEAR_UPDATERS = ("shotgun", "coord_descent")
_UPDATER = "|".join((*TREE_UPDATERS, *LINEAR_UPDATERS))
_SIGN = r"\s*-?[01]\s*"


def _share(doc: str, low: float) -> float:
    found: float = hyperparameter(
        "float", doc, default=1.0, low=0, high=1, open_low=True, tunable=Range(low, 1, "Linear")
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class XGBoostHyperparameters:
    """What a training job may set; None stands for what the library does by itself."""

    num_round: int = hyperparameter(
        "int", "boosting rounds", low=1, tunable=Range(1, 4000, "Linear")
    )
    objective: str = hyperparameter(
        "choice", "what is learned; reg:linear is reg:squarederror", default=OBJECTIVES[0],
        choices=OBJECTIVES,
    )  # fmt: skip
    num_class: int | None = hyperparameter(
        "int", "classes of a multi: objective, labels 0 to num_class - 1", default=None, low=2
    )
    eval_metric: str | None = hyperparameter(
        "text", "what to tell of every round; by default, what goes with the objective",
        default=None, pattern=metrics.PATTERN, form=metrics.FORM,
    )  # fmt: skip
    tuning_objective_metric: str | None = hyperparameter(
        "text", "a further metric, which a tuning job looks at", default=None,
        pattern=f"(train|validation):(?:{metrics.PATTERN})", aliases=("_tuning_objective_metric",),
        form="a metric after its channel (validation:auc)",
    )  # fmt: skip
    early_stopping_rounds: int | None = hyperparameter(
        "int", "training ends when the last metric of the validation channel has not become better "
        "in so many rounds; the model is that of the best", default=None, low=1,
    )  # fmt: skip
    booster: str = hyperparameter(
        "choice", "what is boosted", default="gbtree", choices=("gbtree", "gblinear", "dart")
    )
    eta: float = hyperparameter(
        "float", "what a round's answer is shrunk by", default=0.3, low=0, high=1,
        tunable=Range(0.1, 0.5, "Linear"), aliases=("learning_rate",),
    )  # fmt: skip
    gamma: float = hyperparameter(
        "float", "loss that a split must save", default=0.0, low=0,
        tunable=Range(0, 5, "Linear"), aliases=("min_split_loss",),
    )  # fmt: skip
    max_depth: int = hyperparameter(
        "int", "depth of a tree; 0: no limit", default=6, low=0, tunable=Range(0, 10, "Linear")
    )
    min_child_weight: float = hyperparameter(
        "float", "sum of Hessians that a leaf must have", default=1.0, low=0,
        tunable=Range(0, 120, "Linear"),
    )  # fmt: skip
    max_delta_step: float = hyperparameter(
        "float", "largest step of a leaf; 0: no limit", default=0.0, low=0,
        tunable=Range(0, 10, "Linear"),
    )  # fmt: skip
    subsample: float = _share("share of the rows that a round sees", 0.5)
    colsample_bytree: float = _share("share of the columns that a tree sees", 0.5)
    colsample_bylevel: float = _share("share of these that a level sees", 0.1)
    colsample_bynode: float = _share("share of these that a split sees", 0.1)
    reg_lambda: float = hyperparameter(
        "float", "L2 penalty on the leaves", default=1.0, low=0,
        tunable=Range(0, 1000, "Linear"), aliases=("lambda",),
    )  # fmt: skip
    alpha: float = hyperparameter(
        "float", "L1 penalty on the leaves", default=0.0, low=0,
        tunable=Range(0, 1000, "Linear"), aliases=("reg_alpha",),
    )  # fmt: skip
    lambda_bias: float = hyperparameter(
        "float", "L2 penalty on a linear bias; without effect since xgboost 1.0", default=0.0,
        low=0, high=1,
    )  # fmt: skip
    tree_method: str = hyperparameter(
        "choice", "how splits are found; auto is hist, and so is gpu_hist here", default="auto",
        choices=("auto", "exact", "approx", "hist", "gpu_hist"),
    )  # fmt: skip
    sketch_eps: float = hyperparameter(
        "float", "for approx: one over the number of bins, where max_bin is not set", default=0.03,
        low=0, high=1, open_low=True,
    )  # fmt: skip
    scale_pos_weight: float = hyperparameter(
        "float", "weight of positive rows", default=1.0, low=0, open_low=True
    )
    base_score: float | None = hyperparameter(
        "float", "every row's first answer; by default estimated from the labels", default=None,
        low=0,
    )  # fmt: skip
    updater: str | None = hyperparameter(
        "text", "how trees are grown and changed, in order; by default as tree_method has it",
        default=None, pattern=rf"(?:{_UPDATER})(?:\s*,\s*(?:{_UPDATER}))*",
        form=f"a comma-separated list of {', '.join((*TREE_UPDATERS, *LINEAR_UPDATERS))}",
    )  # fmt: skip
    refresh_leaf: bool = hyperparameter(
        "bool", "for updater refresh: whether leaves change too, not nodes alone", default=True
    )
    process_type: str = hyperparameter(
        "choice", "update: the trees of the model channel are changed, none is added",
        default="default", choices=("default", "update"),
    )  # fmt: skip
    grow_policy: str = hyperparameter(
        "choice", "which node is split next: of the lowest level, or with most to save",
        default="depthwise", choices=("depthwise", "lossguide"),
    )  # fmt: skip
    max_leaves: int = hyperparameter("int", "leaves of a tree; 0: no limit", default=0, low=0)
    max_bin: int = hyperparameter("int", "bins of a column", default=256, low=0)
    num_parallel_tree: int = hyperparameter("int", "trees a round", default=1, low=1)
    sample_type: str = hyperparameter(
        "choice", "for dart: how trees are drawn", default="uniform",
        choices=("uniform", "weighted"),
    )  # fmt: skip
    normalize_type: str = hyperparameter(
        "choice", "for dart: what new trees weigh", default="tree", choices=("tree", "forest")
    )
    rate_drop: float = hyperparameter(
        "float", "for dart: share of the trees that a round leaves out", default=0.0, low=0, high=1
    )
    one_drop: bool = hyperparameter(
        "bool", "for dart: whether at least one tree is left out", default=False
    )
    skip_drop: float = hyperparameter(
        "float", "for dart: chance of a round that leaves out none", default=0.0, low=0, high=1
    )
    tweedie_variance_power: float = hyperparameter(
        "float", "for reg:tweedie: near 1 like Poisson, near 2 like gamma", default=1.5, low=1,
        high=2, open_low=True, open_high=True,
    )  # fmt: skip
    aft_loss_distribution: str = hyperparameter(
        "choice", "for survival:aft: the noise", default="normal",
        choices=("normal", "logistic", "extreme"),
    )  # fmt: skip
    aft_loss_distribution_scale: float = hyperparameter(
        "float", "for survival:aft: its scale", default=1.0, low=0, open_low=True
    )
    monotone_constraints: str | None = hyperparameter(
        "text", "whether the answer rises (1) or falls (-1) with a column", default=None,
        pattern=rf"\(?{_SIGN}(?:,{_SIGN})*,?\s*\)?", form="a list of -1, 0 and 1 as (1,-1,0)",
    )  # fmt: skip
    interaction_constraints: str | None = hyperparameter(
        "text", "columns that may stand in one branch", default=None,
        pattern=r"\[\s*\[[0-9,\s]*\]\s*(?:,\s*\[[0-9,\s]*\]\s*)*\]",
        form="lists of columns in a list as [[0,1],[2,3]]",
    )  # fmt: skip
    sampling_method: str = hyperparameter(
        "choice", "how subsample draws rows", default="uniform",
        choices=("uniform", "gradient_based"),
    )  # fmt: skip
    csv_weights: bool = hyperparameter(
        "bool", "whether the column after the label weighs its row, in tables", default=False
    )
    seed: int = hyperparameter(
        "int", "of all randomness", default=0, low=-(2**31) + 1, high=2**31 - 2
    )
    nthread: int | None = hyperparameter(
        "int", "threads; by default as many as the host has cores", default=None, low=1
    )
    verbosity: int = hyperparameter(
        "int", "what the library prints: 0 nothing, 1 warnings, 3 everything", default=1, low=0,
        high=3,
    )  # fmt: skip
    predictor: str = hyperparameter(
        "choice", "accepted, without effect", default="auto",
        choices=("auto", "cpu_predictor", "gpu_predictor"),
    )  # fmt: skip
    dsplit: str = hyperparameter(
        "choice", "accepted, without effect", default="row", choices=("row", "col")
    )
    deterministic_histogram: bool = hyperparameter(
        "bool", "accepted; histograms are always deterministic", default=True
    )
    single_precision_histogram: bool = hyperparameter(
        "bool", "accepted, without effect", default=False
    )
    prob_buffer_row: float = hyperparameter(
        "float", "accepted, without effect", default=2.0, low=1, open_low=True
    )
    save_model_on_termination: bool = hyperparameter(
        "bool", "accepted; a job that is stopped always keeps its model", default=True
    )
    use_dask_gpu_training: bool = hyperparameter("bool", "accepted, without effect", default=False)

    @property
    def epochs(self) -> int:
        """Passes at most, as far as known: reading the rows is one round's share of the work."""
        return self.num_round

    @property
    def is_multiclass(self) -> bool:
        return self.objective.startswith("multi:")

    @property
    def is_of_classes(self) -> bool:
        """Whether labels are classes."""
        return self.objective.startswith(("binary:", "multi:"))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics asked for, in order; a tuning job's last."""
        tuned = self.tuning_objective_metric or ":"
        asked = metrics.split(self.eval_metric or "")
        further = metrics.split(tuned.partition(":")[2])
        return (*asked, *(name for name in further if name not in asked))

    @property
    def updaters(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in (self.updater or "").split(",") if part.strip())
