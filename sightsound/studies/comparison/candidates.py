"""The candidates of a comparison: strategies, or the balances that train one of them; and the ways to train each.

Ways: "frozen" (the strategy alone, on encoders that were trained on single modalities), "finetuned" (then all parts,
shortly), "joint" (the strategy on encoders that a temporary fusion has trained jointly, then all parts) and "balanced"
(all parts at once, with a balance).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from sightsound.config import Config
from sightsound.errors import ConfigError, did_you_mean
from sightsound.fusion import DECISION, HIERARCHICAL, STRATEGIES, Fusion
from sightsound.registry import resolve
from sightsound.training.balances import BALANCES
from sightsound.training.schedule import check_balance

FUSION = "concat"  # what balances train unless another strategy is named
SCHEDULES: dict[str, Literal["joint", "staged", "staged+finetune", "fusion+joint"]] = {
    "frozen": "staged",
    "finetuned": "staged+finetune",
    "joint": "fusion+joint",
    "balanced": "joint",
}


@dataclass(frozen=True)
class CompareOptions:
    """What a comparison is made of."""

    strategies: str = "all"
    """Names with commas between, or all."""
    seeds: int = 3
    """How often everything is trained, each time from other weights."""
    budget: float | None = None
    """Minutes after which nothing new is begun; what is there is compared. Default: no limit."""
    jobs: int = 1
    """Trainings at the same time."""
    balance: str | None = None
    """Compares balances in place of strategies: names with commas between, or all."""
    fusion: str = FUSION
    """The strategy that each balance trains."""


class Trial(NamedTuple):
    """A candidate: strategy, way of training, round of finetuning, and the balance of a "balanced" one."""

    strategy: str
    way: str
    round: int = 0
    balance: str = ""

    @property
    def name(self) -> str:
        """Names what is compared: the balance if there is one, else the strategy."""
        return self.balance or self.strategy

    @property
    def folder(self) -> str:
        """Names its folder on disk."""
        more = [str(self.round)] if self.round else [self.balance] if self.balance else []
        return "-".join([self.strategy, self.way, *more])

    def before(self) -> Trial:
        """Returns the trial that a finetuned one continues."""
        return Trial(self.strategy, "finetuned", self.round - 1) if self.round > 1 else Trial(self.strategy, "frozen")


def family(strategy: str) -> str:
    """Returns feature, decision or hierarchical; for a class from outside the package, by what it overrides."""
    if strategy in STRATEGIES:
        return "decision" if strategy in DECISION else "hierarchical" if strategy in HIERARCHICAL else "feature"
    found = resolve("fusion strategy", strategy, STRATEGIES, Fusion)
    return "hierarchical" if found.exchange is not Fusion.exchange else "feature"


def choose_candidates(options: CompareOptions, config: Config) -> list[str]:
    """Returns the strategies of a comparison, or its balances.

    Args:
        options: the options as given.
        config: the configuration that all trainings share.

    Raises:
        ConfigError: a name is unknown, a balance cannot train the strategy, or numbers are out of range.
    """
    if options.seeds < 1 or options.jobs < 1 or (options.budget is not None and options.budget <= 0):
        raise ConfigError("--seeds and --jobs are at least 1, --budget is above 0.")
    if options.balance is not None:
        return _balances(options.balance, options, config)
    if options.fusion != FUSION:
        raise ConfigError(
            f"--fusion {options.fusion} is for a comparison of balances. Type --balance all beside it, or --strategies "
            f"{options.fusion}."
        )
    names = _names(options.strategies, list(STRATEGIES))
    for name in names:
        resolve("fusion strategy", name, STRATEGIES, Fusion)
    return names


def _balances(given: str, options: CompareOptions, config: Config) -> list[str]:
    """Returns the balances; "all" includes those that cannot train the strategy, which the comparison reports."""
    if options.strategies != "all":
        raise ConfigError(
            "--strategies and --balance are both given, and a comparison is of one kind. Type --balance with --fusion "
            "NAME, the strategy that every balance trains, or leave --balance away."
        )
    resolve("fusion strategy", options.fusion, STRATEGIES, Fusion)
    names = _names(given, list(BALANCES))
    for name in names:
        if name not in BALANCES:
            raise ConfigError(f"There is no balance {name!r}. {did_you_mean(name, BALANCES)}")
        if given != "all":
            check_balance(dataclasses.replace(config, fusion=options.fusion, schedule="joint", balance=cast(Any, name)))
    return names


def _names(given: str, every: list[str]) -> list[str]:
    return every if given == "all" else list(dict.fromkeys(name.strip() for name in given.split(",")))
