"""What is trained when: the phases of each schedule."""

from __future__ import annotations

from typing import NamedTuple

from sightsound.config import Config
from sightsound.errors import ConfigError
from sightsound.fusion import DECISION, strategy_of
from sightsound.training.balances import BALANCES

FUSION_SHARE = 0.25  # of the epochs, for the fusion alone, on encoders that are untrained or warmed up
LAST_SHARE, LAST_RATE = 0.5, 0.3  # of the epochs and of the learning rate, for all parts after the temporary fusion
WARM_UP, LONG_WARM_UP = 0.05, 0.3  # of the steps; long after the fusion alone, to change its inputs slowly
FINETUNE_RATE = 0.1  # of the learning rate, where all parts have been trained already


class Phase(NamedTuple):
    """A phase of a schedule.

    Attributes:
        name: the name of its checkpoints and logs.
        active: the active modalities.
        trains: prefixes of the parameters it trains.
        rate: its learning rate as a multiple of the configured one.
        share: its number of epochs as a share of the configured ones.
        warm_up: share of its steps until the learning rate is at its peak.
        afresh: whether it begins with fresh weights, since the earlier phases trained unimodal teachers.
        fits_embedding_scale: whether embeddings are standardised first, for strategies that cannot do so themselves.
        temporary_fusion: whether a `TemporaryFusion` fuses in place of the configured strategy.
        epochs: so many, the last of which counts; None: as many as configured, and validation rows choose the best.
    """

    name: str
    active: tuple[str, ...]
    trains: tuple[str, ...]
    rate: float = 1.0
    share: float = 1.0
    warm_up: float = WARM_UP
    afresh: bool = False
    fits_embedding_scale: bool = False
    temporary_fusion: bool = False
    epochs: int | None = None


def phases(config: Config) -> list[Phase]:
    """Returns the phases of a schedule, in order."""
    everything = config.modalities
    if len(everything) == 1:
        return [Phase("joint", everything, ("",))]
    each = [Phase(m, (m,), (f"encoders.{m}.", f"heads.{m}.")) for m in everything]
    if config.schedule == "joint":
        teachers = BALANCES[config.balance].needs_unimodal_training
        searched = strategy_of(config.fusion).searched
        if teachers or (searched and not config.fusion_options.get("joins")):
            return [*each, Phase("joint", everything, ("",), afresh=True)]
        apart = heads_apart(config)
        others = [f"{part}.{m}." for part in ("encoders", "heads") for m in everything if m not in apart]
        first = [phase for phase in each if phase.name in apart]
        return [*first, Phase("joint", everything, ("fusion.", *others) if apart else ("",))]
    if config.schedule == "fusion+joint":
        return [
            Phase("begun", everything, ("fusion.",), share=FUSION_SHARE, temporary_fusion=True),
            Phase("together", everything, ("",), warm_up=LONG_WARM_UP, temporary_fusion=True),
            Phase("fusion", everything, ("fusion.",), share=FUSION_SHARE, fits_embedding_scale=True),
            Phase("joint", everything, ("",), LAST_RATE, LAST_SHARE),
        ]
    staged = [*each, Phase("fusion", everything, ("fusion.",))]
    return staged if config.schedule == "staged" else [*staged, Phase("finetune", everything, ("",), FINETUNE_RATE)]


def heads_apart(config: Config) -> list[str]:
    """Lists the modalities whose head nothing else teaches than its own loss on the embeddings of a frozen encoder.

    Such a head is trained before the rest, for as many epochs as suit it.
    """
    balance = BALANCES[config.balance]
    if balance.flow.fused or balance.shares_head or strategy_of(config.fusion).exchanges():
        return []
    return [m for m in config.modalities if getattr(config, m).frozen]


def check_balance(config: Config) -> None:
    """Raises ConfigError where the balance and the schedule, or the strategy, would leave encoders untrained."""
    learning = [m for m in config.modalities if not getattr(config, m).frozen]
    if len(config.modalities) == 1 or not learning:
        return
    balance = BALANCES[config.balance]
    if len(config.modalities) > 2 and balance.two_modalities:
        raise ConfigError(
            f"--balance {config.balance} is defined for two modalities, and there are {len(config.modalities)}. Type "
            "--balance detached, or ogm-ge."
        )
    if config.schedule != "joint" and balance.shares_head:
        raise ConfigError(
            f"--balance {config.balance} has one head for all modalities and trains them by turns from the first step "
            f"on, and --schedule {config.schedule} trains their heads apart before, or all by the fused answer. Type "
            "--schedule joint, or --balance auxiliary."
        )
    if config.schedule == "fusion+joint" and not balance.flow.fused:
        raise ConfigError(
            f"--balance {config.balance} keeps the fused answer's loss out of the encoders. In fusion+joint the fused "
            "answer teaches the encoders: give --balance fused-only or auxiliary. Type --balance auxiliary, or "
            "--schedule joint."
        )
    if config.schedule == "fusion+joint" and balance.needs_unimodal_training:
        raise ConfigError(
            f"--balance {config.balance} keeps each encoder close to one that was trained on its modality alone, and "
            "--schedule fusion+joint trains none alone: the teachers would know nothing. Type --schedule joint, or "
            "--balance auxiliary."
        )
    strategy = strategy_of(config.fusion)
    detached = issubclass(strategy, tuple(DECISION.values()))
    if detached and not balance.flow.unimodal and config.schedule != "staged":  # it trains each encoder alone
        raise ConfigError(
            f"--balance {config.balance} trains the encoders by the fused answer's loss alone, which --fusion "
            f"{config.fusion} does not pass on: a decision strategy takes each modality's answer as it is, and the "
            "encoders would not be trained. Type --balance auxiliary, or --fusion concat."
        )
