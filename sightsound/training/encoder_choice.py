"""Chooses the encoder of each modality by measurement, where the configuration leaves it open.

The candidates are the modality's small network, trained from nothing, and the pretrained encoders that are on this
computer, frozen. Each is trained on its modality alone; the validation rows decide, by macro F1 (with few of them a
cross-validation over these and the training rows): of those within one standard error of the best, the cheapest to
train. A frozen encoder is given some training rows. The small network is
given all, since it needs them, but half of the epochs, and it ends early where it is ahead, or too far behind.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_type_hints

import pandas as pd

from sightsound.config import Config
from sightsound.data.prepare import modalities_in
from sightsound.data.table import Table
from sightsound.encoders import checkpoints
from sightsound.errors import ConfigError, RunError, TableError, TrainingError
from sightsound.fusion import strategy_of
from sightsound.modalities.base import is_left_open, modality, with_small_encoder
from sightsound.run_folder import REQUEST, write_whole
from sightsound.training.encoder_trials import FEW_ROWS, Candidate, Trials, with_encoder
from sightsound.training.prepare import prepare

FILE, FOLDER = "encoders.csv", "encoders.partial"  # in the run folder: the result, and the trainings meanwhile


def with_small_encoders(config: Config) -> Config:
    """Returns the configuration with the small network wherever the encoder is left open."""
    sections: dict[str, Any] = {m: with_small_encoder(m, getattr(config, m)) for m in config.modalities}
    return dataclasses.replace(config, **sections)


def choose_encoders(table: Table, config: Config, run: Path, say: Callable[[str], object]) -> Config:
    """Returns the configuration with an encoder for each modality; measures where there is a choice.

    The result is written to `encoders.csv` in the run folder, and read from there when the run goes on.

    Args:
        table: the table to train on.
        config: the configuration as the user gave it.
        run: the run folder.
        say: called with each line for the user.

    Raises:
        TableError, ConfigError: as `prepare` does; or a frozen encoder is asked for, and no pretrained one is here.
    """
    left_open = [m for m in modalities_in(table, config) if is_left_open(getattr(config, m))]
    begun = (run / REQUEST).exists()
    if not begun:  # what a run that stopped before its training left
        (run / FILE).unlink(missing_ok=True)
        shutil.rmtree(run / FOLDER, ignore_errors=True)
    if left_open and len(config.modalities) > 1 and (why := _trains_encoders(config)):
        small = with_small_encoders(config)
        say(f"{why}: small networks are taken. --image.encoder and --audio.encoder name others.")
        return small
    if not left_open:
        return with_small_encoders(config)
    listed = {m: candidates(m, getattr(config, m)) for m in left_open}
    if begun:
        found = _checked(read_candidates(run), listed, run)
    else:
        found = _tried(table, config, listed, run)
        write_whole(run / FILE, pd.DataFrame(found).to_csv(index=False))
    for m in listed:
        say(in_words(m, [one for one in found if one.modality == m]))
    chosen: dict[str, Any] = {c.modality: with_encoder(getattr(config, c.modality), c) for c in found if c.chosen}
    return with_small_encoders(dataclasses.replace(config, **chosen))


def _tried(table: Table, config: Config, listed: Mapping[str, list[Candidate]], run: Path) -> list[Candidate]:
    """Measures the candidates of each modality that has several; the first of the others is chosen as it is."""
    choices = [m for m, of in listed.items() if sum(not one.note for one in of) > 1]
    found = [one for m, of in listed.items() if m not in choices for one in _first(of)]
    if choices:
        sized = {m: dataclasses.replace(getattr(config, m), frozen=False) for m in listed}
        prepared = prepare(table, with_small_encoders(dataclasses.replace(config, **cast(Any, sized))), run)
        for m in choices:
            found += _measured(listed[m], Trials(m, table, config, prepared, run / FOLDER))
        shutil.rmtree(run / FOLDER, ignore_errors=True)
    return found


def _first(listed: Sequence[Candidate]) -> list[Candidate]:
    """Marks the first candidate as the chosen one."""
    return [listed[0]._replace(chosen=True), *listed[1:]]


def _checked(found: list[Candidate], listed: Mapping[str, list[Candidate]], run: Path) -> list[Candidate]:
    """Raises RunError where what was read is not the result of a choice among these candidates."""
    if strange := {one.modality for one in found} - set(listed):
        raise _damaged(run, f"{', '.join(sorted(strange))}: not left open")
    for m, of in listed.items():
        read = [one for one in found if one.modality == m]
        chosen = [one.encoder for one in read if one.chosen]
        tried = [one for one in read if one.training_rows]
        best = [choose(tried).encoder] if tried else chosen[:1]
        known = {(one.encoder, one.frozen) for one in of}
        if {(one.encoder, one.frozen) for one in read} != known or len(chosen) != 1 or chosen != best:
            raise _damaged(run, f"it does not say how the encoder of {modality(m).plural} was chosen")
    return found


def _damaged(run: Path, why: object) -> RunError:
    return RunError(
        f"{run / FILE}: damaged ({why}). Put it back as it was, or begin a new run with another --out. Of a finished "
        "training it is only the table of encoders in the report, and can be deleted."
    )


def read_candidates(run: Path) -> list[Candidate]:
    """Reads what `choose_encoders` wrote into a run folder; nothing where there was no choice. Raises RunError."""
    if not (run / FILE).exists():
        return []
    try:
        frame = pd.read_csv(run / FILE, float_precision="round_trip").fillna({"note": ""})
        found = [Candidate(**row) for row in cast(list[dict[str, Any]], frame.to_dict("records"))]
        for one in found:
            wrong = [name for name, kind in get_type_hints(Candidate).items() if not _is(getattr(one, name), kind)]
            if wrong or (one.training_rows and not math.isfinite(one.macro_f1 + one.standard_error)):
                raise ValueError(f"{', '.join(wrong) or 'macro_f1'} of {one.encoder} is something else")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(run, error) from error
    return found


def _is(value: Any, kind: type) -> bool:
    """Returns whether a value is of this type; whole numbers are floats too."""
    return type(value) is kind or (kind is float and type(value) is int)


def measured_candidates(run: Path) -> list[Candidate]:
    """Reads the candidates of a run in which some were measured; nothing where there was no choice."""
    found = read_candidates(run)
    return found if any(one.training_rows for one in found) else []


def _trains_encoders(config: Config) -> str:
    """Says why the encoders cannot stay as they are, where the strategy or the balance is about their training."""
    if exchanges(config):
        return f"{config.fusion} exchanges between the layers of the encoders, which then run in every epoch"
    return "" if config.balance == "detached" else f"The balance {config.balance} is about how encoders are trained"


def exchanges(config: Config) -> bool:
    """Returns whether the strategy lets the encoders exchange information, so that no embeddings can be cached."""
    return strategy_of(config.fusion).exchanges()


def candidates(m: str, options: Any) -> list[Candidate]:
    """Lists the encoders between which a modality's options leave the choice, the small network first.

    Raises:
        ConfigError: a frozen encoder is asked for, and no pretrained one can be used.
    """
    pretrained = []
    for name in checkpoints.embedded_encoders(m):
        one = Candidate(m, name, True)
        try:
            modality(m).with_checkpoint(with_encoder(options, one))
        except ConfigError as error:  # it is not installed, or does not take the sizes that the user asks for
            one = one._replace(note=str(error).splitlines()[0])
        pretrained.append(one)
    if not options.frozen:
        return [Candidate(m, modality(m).small_encoder, False), *pretrained]
    usable = [one for one in pretrained if not one.note]
    if not usable:
        why = " ".join(one.note for one in pretrained) or f"there is none for {modality(m).plural}."
        raise ConfigError(f"--{m}.frozen leaves an encoder as it is, and needs a pretrained one. {why}")
    return [*usable, *(one for one in pretrained if one.note)]  # the first is taken where it is the only one


def _measured(listed: list[Candidate], trials: Trials) -> list[Candidate]:
    """Tries the pretrained encoders, and then the small network against the best of them; marks the chosen one.

    Raises:
        ConfigError: none of them can be used, and the small network is not among them.
    """
    found = {one.encoder: one for one in listed}
    rival = None
    for one in sorted(listed, key=lambda candidate: not candidate.frozen):
        if one.note or (not one.frozen and rival is None):  # nothing to compare it with
            continue
        try:
            found[one.encoder] = trials.result_of(one, rival)
        except (ConfigError, TableError, TrainingError) as error:
            found[one.encoder] = one._replace(note=str(error).splitlines()[0])
            continue
        if rival is None or found[one.encoder].macro_f1 > rival.macro_f1:
            rival = found[one.encoder]
    tried = [one for one in found.values() if one.training_rows]
    if not tried and all(one.frozen for one in listed):
        raise ConfigError(" ".join(one.note for one in found.values()))
    best = choose(tried).encoder if tried else listed[0].encoder
    return [found[one.encoder]._replace(chosen=one.encoder == best) for one in listed]


def choose(tried: Sequence[Candidate]) -> Candidate:
    """Returns the cheapest to train of those within one standard error of the best: frozen ones, then smaller ones."""
    best = max(tried, key=lambda one: one.macro_f1)
    tied = [one for one in tried if one.macro_f1 >= best.macro_f1 - best.standard_error]
    return min(tied, key=lambda one: (not one.frozen, one.parameters))


def in_words(m: str, found: Sequence[Candidate]) -> str:
    """Says which encoder was chosen for a modality, what the others reached, and why some were not tried."""
    [chosen] = [one for one in found if one.chosen]
    without = "".join(
        f" Not tried: {one.encoder}. {one.note}" for one in found if not one.training_rows and not one.chosen
    )
    said = f"Encoder of {modality(m).plural}: {chosen.encoder}{', frozen' if chosen.frozen else ''}"
    if not chosen.training_rows:
        return f"{said}; there is no choice.{without}"
    scores = "".join(f"; {one.encoder} {one.macro_f1:.2f}" for one in found if one.training_rows and not one.chosen)
    few = f" {doubt(chosen)}".rstrip()
    kind = "validation rows" if chosen.folds == 1 else "rows, by cross-validation"
    rows = f"macro F1 {chosen.macro_f1:.2f} on {chosen.validation_rows} {kind}"
    return f"{said} ({rows}{scores}).{few}{without}"


def doubt(chosen: Candidate) -> str:
    """Says that the choice of an encoder is uncertain where it rests on few rows; nothing where it does not."""
    few = 0 < chosen.validation_rows < FEW_ROWS
    return "On so few rows the choice is uncertain." if few else ""
