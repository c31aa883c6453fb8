"""Trains a classifier's network by the phases of its schedule; a phase that is complete is loaded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from sightsound.bundle.files import save_tensors
from sightsound.config import Config, imputing_policies
from sightsound.data.dataset import Rows, loader
from sightsound.encoders.base import Encoder
from sightsound.fusion.search import Search
from sightsound.hardware import reseed, set_layout
from sightsound.missing import Impute, impute_by
from sightsound.network.classifier import ClassifierNetwork
from sightsound.run_folder import write_whole
from sightsound.training.augment import Augment
from sightsound.training.balances import BALANCES, Auxiliary
from sightsound.training.checkpoints import BEST, of_this_version, read
from sightsound.training.encoder_warmup import with_temporary_fusion
from sightsound.training.fusion_search import search
from sightsound.training.imputers import fit_imputers
from sightsound.training.loop import Plan, Watcher, run_loop
from sightsound.training.objective import Optimization
from sightsound.training.schedule import Phase, phases
from sightsound.training.stage import CHOICE, F1, SCORE, Choice, Stage

VALIDATION_BATCH = 256
JOINS = "joins.txt"  # the wiring that the search found, in the run folder
SETTLING_ROWS = 1000


def fit(
    network: ClassifierNetwork,
    config: Config,
    rows: Mapping[str, Rows],
    run: Path,
    watchers: Sequence[Watcher] = (),
    schedule: Sequence[Phase] | None = None,
) -> None:
    """Trains the network in place; each phase ends with the weights of its chosen epoch (docs/concepts.md).

    A phase that is complete in the run folder is loaded; an interrupted one goes on from its last checkpoint.

    Args:
        network: the network with fresh weights.
        config: the resolved configuration.
        rows: the rows of train and val.
        run: folder for `checkpoints/` and `logs/`.
        watchers: are called in every phase.
        schedule: the phases; default: those of the configured schedule.
    """
    set_layout(network, torch.channels_last)  # the faster one for convolutions in half precision
    fresh = copy.deepcopy(network.state_dict())
    for part in schedule or phases(config):
        trained = with_temporary_fusion(network, config.seed) if part.temporary_fusion else network
        _run_part(trained, part, config, rows, run, watchers, fresh)
    network.requires_grad_(True)
    set_layout(network, torch.contiguous_format)


def _run_part(
    network: ClassifierNetwork,
    part: Phase,
    config: Config,
    rows: Mapping[str, Rows],
    run: Path,
    watchers: Sequence[Watcher],
    fresh: Mapping[str, Tensor],
) -> None:
    """Trains or loads a phase; `fresh` are the weights that training began with."""
    if not _unfreeze(network, part.trains, config):  # the strategy has no parameters of its own
        return
    balance = _balance(network, part, config)
    if len(part.active) > 1 and not config.fusion_options.get("joins"):
        _wire(network, config, rows, run)
    if part.afresh:
        network.load_state_dict({n: v for n, v in fresh.items() if not n.startswith("fusion.")}, strict=False)
    if part.fits_embedding_scale:
        network.fit_embedding_scale(some_features(network, rows["train"]))
    done = run / "checkpoints" / f"{part.name}.safetensors"
    if not done.exists():
        _fit_part(network, part, config, rows, run, balance, watchers)
        save_tensors(network.state_dict(), done)
    with of_this_version(done):
        network.load_state_dict(load_file(done))


def _balance(network: ClassifierNetwork, part: Phase, config: Config) -> Auxiliary:
    """Builds the configured balance; a phase with one active modality has nothing to balance."""
    balance = BALANCES[config.balance](network)
    if len(part.active) > 1:
        return balance
    plain = Auxiliary(network)
    plain.flow = balance.flow._replace(unimodal=True)
    return plain


def _fit_part(
    network: ClassifierNetwork,
    part: Phase,
    config: Config,
    rows: Mapping[str, Rows],
    run: Path,
    balance: Auxiliary,
    watchers: Sequence[Watcher],
) -> None:
    train = loader(_seen(rows["train"], part.active), config.batch_size, config.seed)
    val = loader(_seen(rows["val"], part.active), VALIDATION_BATCH)
    epochs = part.epochs or max(round(part.share * (config.epochs or 1)), 1)
    optimization = Optimization(
        _groups(network, config, part.rate), epochs * len(train), part.warm_up, config.weight_decay
    )
    relearn = _relearn(network, config, rows["train"]) if len(part.active) > 1 else None
    stage = Stage(network, part.active, optimization, Augment(config), balance, _choice(network, balance), relearn)
    plan = Plan(part.name, run, epochs, config.accelerator, config.precision)
    if part.epochs:
        run_loop(stage, train, None, plan, watchers)
        return
    plan = plan._replace(displayed=F1, choice=CHOICE, score=SCORE, patience=config.patience)
    run_loop(stage, train, val, plan, watchers)
    best = plan.checkpoints / BEST
    with of_this_version(best):
        network.load_state_dict(read(best)["network"])


def _choice(network: ClassifierNetwork, balance: Auxiliary) -> Choice:
    """Returns how the epoch of a phase is chosen, by what is trained in it."""
    if all(name.startswith("heads.") for name, x in network.named_parameters() if x.requires_grad):
        return Choice.LOSS
    return Choice.BEST if balance.flow.fused else Choice.LATE


def _relearn(network: ClassifierNetwork, config: Config, rows: Rows) -> Callable[[], Impute | None] | None:
    """Returns a function that fits the policies' imputers on the current embeddings; None where nothing is imputed."""
    policies = imputing_policies(config)
    if not policies or rows.complete().all():
        return None
    return lambda: impute_by(fit_imputers(network, rows, set(policies.values())), policies)


def some_features(network: ClassifierNetwork, rows: Rows) -> dict[str, Tensor]:
    """Computes features (n, ...) of the first rows that have each modality."""
    found = {}
    for m, store in rows.stores.items():
        entry = store.entry[rows.rows]
        found[m] = network.features[m](store.read(entry[entry > 0][:SETTLING_ROWS]))
    return found


def _wire(network: ClassifierNetwork, config: Config, rows: Mapping[str, Rows], run: Path) -> None:
    """Gives the strategy `search` its wiring: the run folder's, or one searched on the current encoders."""
    if not network.fusion.searched:
        return
    known = run / JOINS
    if not known.exists():
        joins = search(network, cast(Search, network.fusion), rows, config)
        run.mkdir(parents=True, exist_ok=True)
        write_whole(known, joins)
    if network.fusion.joins != known.read_text():
        reseed(config.seed)
        network.fusion.rewire(known.read_text())


def _unfreeze(network: ClassifierNetwork, prefixes: tuple[str, ...], config: Config) -> bool:
    """Makes only the named parameters trainable, less frozen ones and those fitted later; whether any remain."""
    frozen = tuple(f"encoders.{m}." for m in config.modalities if getattr(config, m).frozen)
    if network.fusion.fitted_held_out:
        frozen += ("fusion.",)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes) and not name.startswith(frozen))
    return any(parameter.requires_grad for parameter in network.parameters())


def _groups(network: ClassifierNetwork, config: Config, multiple: float) -> list[dict[str, Any]]:
    """Groups the trainable parameters by the learning rates that strategy and encoders ask for."""
    by_rate: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part, _, inside = name.partition(".")
            rate = multiple * config.learning_rate
            if part == "fusion":
                rate *= network.fusion.rate_of(inside)
            elif part == "encoders":
                m, _, inside = inside.partition(".")
                encoder = cast(Encoder, network.encoders[m])
                rate = encoder.rate_of(inside, getattr(config, m).layer_decay) * rate
            by_rate.setdefault(rate, []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in by_rate.items()]


def _seen(rows: Rows, active: tuple[str, ...]) -> Rows:
    """Selects the rows that have any of the active modalities."""
    has = torch.stack([rows.stores[m].entry[rows.rows] > 0 for m in active]).any(0)
    return Rows(rows.stores, rows.target, rows.rows[has])
