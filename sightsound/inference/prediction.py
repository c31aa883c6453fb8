"""Predictions for users: combines the answers of each subset of the modalities to `Prediction`s."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.config import Config, MissingConfig, imputing_policies
from sightsound.data.dataset import Rows
from sightsound.data.decode import clips, cut_modality, damages, over_time, prepare_rows
from sightsound.data.remarks import Remark, words
from sightsound.data.table import Rejected, Table, dropped_rows, incomplete_rows
from sightsound.encoders.base import Encoder
from sightsound.errors import ConfigError
from sightsound.inference.metrics import disagreement
from sightsound.inference.subsets import Answer, Answered, all_answers, answer_rows, embed_rows
from sightsound.missing import FEWEST_COMPLETE, Impute, Imputers, impute_by
from sightsound.modalities.base import modality
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.decision import Decision
from sightsound.types import Clip, Imputation, Imputed, Prediction

Array = NDArray[Any]


class Asked(NamedTuple):
    """The files of one row.

    Attributes:
        starts: the starts of its clips, in seconds.
        source: the file of each present modality.
        damage: per modality (clips, 2) the share that was interpolated, and its uncertainty.
        errors: for each modality whose file could not be used, why.
        flags: for each modality, what is remarkable about its file (`data.remarks`).
    """

    starts: list[float]
    source: dict[str, str]
    damage: dict[str, Array]
    errors: Mapping[str, str] = {}
    flags: Mapping[str, int] = {}


def prediction(
    said: dict[tuple[str, ...], Answer],
    asked: Asked,
    labels: list[str],
    config: Config,
    decision: Decision,
) -> Prediction:
    """Builds the prediction of one row.

    Args:
        said: the answers of each subset of the modalities to each of its clips.
        asked: the files of the row.
        labels: class names.
        config: the configuration with all sizes set.
        decision: how a class is chosen.
    """
    starts, source, damage, errors, flags = asked
    modalities, there = config.modalities, tuple(m for m in config.modalities if m in source)
    imputed = [m for m, of in said[modalities].imputed.items() if of.rows.any()]
    completed = tuple(m for m in modalities if m in there or m in imputed)  # by whose thresholds it is decided
    fused = said[modalities]
    answered = [labels[k] for k in decision.choose(_with_mean(fused.probabilities), completed)]
    probabilities = _named(fused.probabilities.mean(0), labels)
    cut = cut_modality(config)
    cut = cut if cut in there else ""
    length = modality(cut).clip_seconds(getattr(config, cut)) if cut else 0.0
    of_clips = []
    for start, each, label in zip(starts, fused.probabilities, answered[1:], strict=True):
        of_clips.append(Clip(float(start), float(start) + length, label, _named(each, labels)))
    weights = fused.weights
    said_of = ~Remark.CUT if cut_modality(config) else ~Remark(0)  # clips are cut on purpose
    alone = {m: said[(m,)].probabilities.mean(0) for m in there}
    return Prediction(
        label=answered[0],
        probabilities=probabilities,
        per_modality={m: _named(p, labels) for m, p in alone.items()},
        weights=None if weights is None else {m: float(weights[m].mean()) for m in modalities},
        present=there,
        source=source,
        disagreement=float(disagreement(torch.stack(list(alone.values())).numpy())) if len(alone) > 1 else None,
        ood_score={m: float(said[(m,)].ood_score[m].mean()) for m in there},
        imputed=imputations(config.missing, damage, fused.imputed),
        errors=dict(errors),
        notes={m: note for m, of_file in flags.items() if (note := words(m, of_file & said_of))},
        unimodal_labels={m: labels[decision.choose(p.numpy()[None], (m,))[0]] for m, p in alone.items()},
        clips=tuple(of_clips) if cut else (),
    )


def _with_mean(probabilities: torch.Tensor) -> Array:
    """(clips, C) -> (1 + clips, C), the mean first."""
    return torch.cat([probabilities.mean(0, keepdim=True), probabilities]).numpy()


def _named(probabilities: torch.Tensor, labels: list[str]) -> dict[str, float]:
    return dict(zip(labels, probabilities.tolist(), strict=True))


def imputation(config: Config, imputers: Mapping[str, Imputers]) -> Impute | None:
    """Returns what imputes missing modalities under a classifier's policies; None if nothing does.

    Raises:
        ConfigError: the imputers of a policy are not fitted.
    """
    policies = imputing_policies(config)
    for m, policy in policies.items():
        if policy not in imputers:
            raise ConfigError(
                f"missing.{m} is {policy!r}, and this classifier has no imputer of it: it was trained on fewer than "
                f"{FEWEST_COMPLETE} rows with all modalities, or it is a policy of your own: train with --missing."
            )
    return impute_by(imputers, policies)


def check_share(abstain_below: float) -> None:
    """Raises ConfigError for a value that is not a probability."""
    if not 0 <= abstain_below <= 1:
        raise ConfigError(f"abstain_below is {abstain_below}; it is a probability, from 0 to 1.")


def abstain(prediction: Prediction, below: float) -> Prediction:
    """Withholds the label of a prediction that is less probable than a bound."""
    sure = prediction.probabilities[prediction.label] >= below
    return prediction if sure else prediction._replace(label="", withheld=prediction.label)


def imputations(missing: MissingConfig, damage: dict[str, Array], imputed: dict[str, Imputed]) -> dict[str, Imputation]:
    """Describes what was imputed or interpolated in one row's modalities.

    Args:
        missing: the policies.
        damage: per modality (clips, 2) the share that was interpolated, and its uncertainty.
        imputed: per modality, over the clips, the imputed embeddings.
    """
    found = {}
    for m, of_clips in damage.items():
        hurt = of_clips[of_clips[:, 0] > 0]
        if len(hurt):
            found[m] = Imputation(getattr(missing, m), float(of_clips[:, 0].mean()), _known(hurt[:, 1].mean()))
    for m, whole in imputed.items():
        if whole.rows.any():
            found[m] = Imputation(getattr(missing, m), 1.0, _known(float(whole.uncertainty.mean())))
    return found


def _known(uncertainty: float) -> float | None:
    return None if math.isnan(uncertainty) else float(uncertainty)


def answer_table_rows(
    network: ClassifierNetwork, config: Config, labels: list[str], table: Table, impute: Impute | None
) -> dict[int, Prediction | Rejected]:
    """Predicts some rows of a table, by row number; a row that cannot be used gives the reason.

    Args:
        network: the network in eval mode; it is not changed.
        config: the configuration with all sizes set.
        labels: class names.
        table: the rows, all of which are held in memory.
        impute: imputes missing modalities; None: they stay absent.
    """
    results: dict[int, Prediction | Rejected] = {}
    results |= {bad.row: bad for bad in dropped_rows(table, config.modalities, config.missing)}
    results |= {bad.row: bad for bad in incomplete_rows(table, config.modalities, labelled=False)}
    cut = clips(table.without(set(results)), config)
    prepared, unreadable = prepare_rows(cut, config, None, partly=True)
    all_numbers = cut.frame["row"].to_numpy()
    rejected, errors = _by_row(unreadable, set(all_numbers[prepared.rows.numpy()]), config.missing)
    results |= rejected
    usable = ~np.isin(all_numbers[prepared.rows.numpy()], list(rejected))
    prepared = Rows(prepared.stores, None, prepared.rows[torch.from_numpy(usable)])
    if not len(prepared):
        return results
    answered = cut.with_frame(cut.frame.iloc[prepared.rows.numpy()])
    said, damage = all_answers(network, prepared, over_time(answered, config), impute), damages(answered, config)
    there = {m: (store.entry[prepared.rows] > 0).numpy() for m, store in prepared.stores.items()}
    frame = answered.frame
    flags = {m: store.flags()[prepared.rows.numpy()] for m, store in prepared.stores.items()}
    starts = frame["start_seconds"].to_numpy() if "start_seconds" in frame else np.zeros(len(frame))
    of_rows = frame.reset_index(drop=True).groupby("row").indices
    for row, places in {int(cast(int, row)): np.asarray(places) for row, places in of_rows.items()}.items():
        source = {m: table.display_name(frame[m].iloc[places[0]]) for m in there if there[m][places].any()}
        of_row = {subset: answer.at(places) for subset, answer in said.items()}
        of_files = {m: found[places] for m, found in damage.items() if m in source}
        remarkable = {m: int(np.bitwise_and.reduce(flags[m][places])) for m in source}  # of all clips
        asked = Asked(starts[places].tolist(), source, of_files, errors.get(row, {}), remarkable)
        results[row] = prediction(of_row, asked, labels, config, network.decision)
    return results


def answered_to_measure(
    network: ClassifierNetwork, config: Config, table: Table, impute: Impute | None
) -> tuple[Answered | None, list[Rejected]]:
    """Predicts rows of a table by each subset of the modalities, None if none can be read; and the unreadable rows.

    The arguments are those of `answer_table_rows`.
    """
    cut = clips(table, config)
    prepared, unreadable = prepare_rows(cut, config, None)
    if not len(prepared):
        return None, unreadable
    answered = cut.with_frame(cut.frame.iloc[prepared.rows.numpy()])
    numbers = answered.frame["row"].to_numpy()
    return answer_rows(network, prepared, numbers, over_time(answered, config), impute), unreadable


def embedded_rows(network: ClassifierNetwork, config: Config, table: Table) -> dict[str, Array]:
    """Per modality (rows, D) unimodal embeddings of some rows of a table, NaN where its file is missing or unreadable.

    Embeddings of a sound's clips are averaged. The arguments are those of `answer_table_rows`.
    """
    cut = clips(table, config)
    prepared, _ = prepare_rows(cut, config, None, partly=True)
    numbers = cut.frame["row"].to_numpy()[prepared.rows.numpy()]
    if not len(prepared):
        sizes = {m: cast(Encoder, network.encoders[m]).embedding_size for m in network.modalities}
        return {m: np.full((len(table.frame), size), np.nan, np.float32) for m, size in sizes.items()}
    found = {}
    values, there = embed_rows(network, prepared)
    for m in network.modalities:
        of_rows = pd.DataFrame(np.where(there[m].numpy()[:, None], values[m].numpy(), np.nan)).groupby(numbers).mean()
        found[m] = of_rows.reindex(table.frame["row"]).to_numpy(np.float32)
    return found


def _by_row(
    unreadable: list[Rejected], partly: Collection[int], missing: MissingConfig
) -> tuple[dict[int, Rejected], dict[int, dict[str, str]]]:
    """Returns the rows without a prediction, and modality -> reason for those of which a part can be read."""
    rejected: dict[int, Rejected] = {}
    errors: dict[int, dict[str, str]] = {}
    for bad in unreadable:
        if bad.row in partly and getattr(missing, bad.modality) != "drop":
            errors.setdefault(bad.row, {})[bad.modality] = f"{bad.file}: {bad.reason}"
        elif bad.row in rejected:  # no file of the row can be used
            reason = f"{rejected[bad.row].reason}; {bad.file}: {bad.reason}"
            rejected[bad.row] = dataclasses.replace(rejected[bad.row], reason=reason)
        else:
            rejected[bad.row] = bad
    return rejected, errors
