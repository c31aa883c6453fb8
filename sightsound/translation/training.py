"""Trains a translator: shared embeddings, then an autoencoder for each modality, then the flow; resumable.

All parts are trained on pairs; labels are not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sightsound.data.dataset import Rows, loader
from sightsound.data.prepare import check
from sightsound.data.prepared.store import Store
from sightsound.data.splits import split
from sightsound.data.table import Table, read_table
from sightsound.errors import TableError
from sightsound.features.augment import AugmentWaveform
from sightsound.features.image import Standardize
from sightsound.hardware import device_of, reseed, tuned_process
from sightsound.network.build import check_parts
from sightsound.progress import progress_bar
from sightsound.registry import resolve
from sightsound.run_folder import BUNDLE, claim, content_of, open_run, request_of, with_files, write_errors
from sightsound.training.augment import Augment
from sightsound.training.fit import some_features
from sightsound.training.prepare import fresh_network
from sightsound.translation.config import MODALITIES, TranslatorConfig
from sightsound.translation.decoders import VOCODERS, Vocoder
from sightsound.translation.network import TranslatorNetwork, build_translator
from sightsound.translation.phase import TrainingPhase, fit_phase
from sightsound.translation.translator import RetrievalIndex, Translator, load_translator
from sightsound.types import Batch

FEWEST_PAIRS = 50
MEANING_STEPS, FEWEST_PASSES = 1000, 10  # by default, whichever is more
DECODER_BATCH, FLOW_BATCH, EMBEDDING_BATCH = 64, 256, 256
VIEWED, MOST_VIEWS = 20_000, 64  # least number of latents of each modality: fewer files are augmented to more views
VARIED = ("audio",)  # modalities of which other recordings could differ a little


class Pairs(NamedTuple):
    """The training data of a translator.

    Attributes:
        table: the pairs, each with its split.
        config: the resolved configuration.
        rows: the training pairs.
        warnings: sentences for the user.
    """

    table: Table
    config: TranslatorConfig
    rows: Rows
    warnings: list[str]


def run_translator_training(
    source: str | Path | pd.DataFrame, config: TranslatorConfig, run: Path, resume: bool, say: Callable[[str], object]
) -> Translator:
    """Trains a translator on the training pairs of a table and writes everything about it into the run folder.

    Args:
        source: the table; rows that lack a modality are left out, labels are not read.
        config: the configuration as the user gave it.
        run: a new folder; or, with `resume`, that of a run of the same table and configuration.
        resume: whether to go on where that run stopped. A finished one is loaded.
        say: called with each line for the user.

    Raises:
        TableError, ConfigError: the table or the configuration cannot be trained on.
        RunError: the folder cannot be written, or is another run's.
    """
    device_of(config.accelerator)
    table = read_table(source, config.columns, labelled=False)
    request = request_of(table, config)
    with open_run(run, request, resume):
        if (run / BUNDLE).exists():
            check_parts(config.reading_config())  # the user of the same run has named these, and so trusts them
            resolve("vocoder", config.vocoder, VOCODERS, Vocoder)
            return load_translator(run / BUNDLE)
        with tuned_process(), write_errors(run):
            pairs = prepare_pairs(table, config, run)
            for warning in pairs.warnings:
                say(f"Note: {warning}")
            claim(run, pairs.config, with_files(run, request, content_of(pairs.rows)))
            return _trained(pairs, run, say)


def _trained(pairs: Pairs, run: Path, say: Callable[[str], object]) -> Translator:
    """Trains and saves."""
    begun = fresh_network(pairs.config.reading_config(), 2, pairs.rows)
    begun.fit_embedding_scale(some_features(begun, pairs.rows))  # otherwise all embeddings are initially equal
    network = build_translator(pairs.config, begun)
    size = sum(p.numel() for p in network.parameters())
    say(f"{len(pairs.rows):,} pairs to learn from; {size:,} parameters, in {pairs.config.precision}.")
    bank = learn(network, pairs, run)
    translator = Translator(network, pairs.config, bank)
    translator.save(run / BUNDLE)
    return translator


def prepare_pairs(table: Table, config: TranslatorConfig, run: Path) -> Pairs:
    """Checks all pairs and reads their files; writes `rejected.csv` into the run folder.

    Raises:
        TableError: files cannot be used and the configuration says stop; or there are too few pairs.
    """
    alone = table.frame["row"][(table.frame[list(MODALITIES)] == "").any(axis=1)]
    table = table.without(set(alone))
    _enough(table.name, len(table.frame))
    checked = check(table, config.reading_config(), run, labelled=False)
    _enough(table.name, len(checked.table.frame))
    table = split(checked.table, config.seed, labelled=False)
    train = torch.tensor((table.frame["split"] == "train").tolist())
    rows = Rows(checked.every.stores, None, checked.every.rows[train])
    notes = [f"{len(alone)} row(s) lack a modality and are left out"] if len(alone) else []
    return Pairs(table, config.with_sizes(checked.config), rows, notes + checked.warnings)


def _enough(name: str, pairs: int) -> None:
    if pairs < FEWEST_PAIRS:
        raise TableError(
            f"{name}: {pairs} row(s) have an image and a sound; a translator needs {FEWEST_PAIRS}. "
            "Expect something recognisable from a few hundred, something varied from a few thousand."
        )


def learn(network: TranslatorNetwork, pairs: Pairs, run: Path) -> RetrievalIndex:
    """Trains all parts in place, or loads complete ones; returns the retrieval index of the training files."""
    config, rows = pairs.config, pairs.rows
    augment = Augment(config.reading_config())
    steps = config.meaning_steps or max(MEANING_STEPS, FEWEST_PASSES * -(-len(rows) // config.batch_size))

    def of_meanings(batch: Batch) -> Tensor:
        return network.meaning_loss(augment(network, batch).inputs)

    encoders = nn.ModuleList([network.encoders, network.meanings])
    trained = [*encoders.parameters(), network.scale]
    fit_phase(network, TrainingPhase("meanings", trained, of_meanings, rows, config.batch_size, steps), config, run)
    encoders.requires_grad_(False)  # they tell decoders what to keep
    for m in network.modalities:
        files = files_of(rows, m)

        def of_decoder(batch: Batch, m: str = m) -> Tensor:
            given = _varied(batch.inputs[m], m, config)
            return network.decoder_loss(m, network.features[m](given))

        trained = list(network.decoder(m).parameters())
        fit_phase(
            network, TrainingPhase(m, trained, of_decoder, files, DECODER_BATCH, config.decoder_steps), config, run
        )
    known = {m: views(network, files_of(rows, m), m, config) for m in network.modalities}
    for m, (latents, _) in known.items():
        scale = cast(Standardize, network.latent_scale[m])
        scale.fit(latents.flatten(0, 1))

    def of_flow(batch: Batch) -> Tensor:
        split_at = {
            m: x.split([network.decoder(m).latent_size, network.meaning_size], 1) for m, x in batch.inputs.items()
        }
        latents = {m: network.latent_scale[m](latent) for m, (latent, _) in split_at.items()}
        return network.flow_loss(latents, {m: meaning for m, (_, meaning) in split_at.items()})

    drawn = viewed_pairs(rows, known)
    trained = list(network.flow.parameters())
    fit_phase(network, TrainingPhase("flow", trained, of_flow, drawn, FLOW_BATCH, config.flow_steps), config, run)
    network.eval()
    return bank_of(pairs, {m: meanings[:, 0] for m, (_, meanings) in known.items()})


def files_of(rows: Rows, modality: str) -> Rows:
    """Returns each distinct file of a modality once, as a row of its own."""
    store = rows.stores[modality]
    entry = torch.unique(store.entry[rows.rows])
    return Rows({modality: Store(store.values, entry)}, None, torch.arange(len(entry)))


@torch.no_grad()
def views(network: TranslatorNetwork, files: Rows, modality: str, config: TranslatorConfig) -> tuple[Tensor, Tensor]:
    """Computes unscaled latents (files, V, L) and shared embeddings (files, V, E) of each file and V - 1 variations.

    V is such that there are `VIEWED` views in all, against overfitting of the flow to a few files. Images are not
    varied: theirs is 1.
    """
    network.eval()
    count = min(math.ceil(VIEWED / len(files)), MOST_VIEWS) if modality in VARIED else 1
    reseed(config.seed)
    found = []
    with progress_bar(f"looking at {modality}", count * len(files)) as bar:
        for batch in loader(files, EMBEDDING_BATCH):
            seen = []
            for number in range(count):
                given = batch.inputs[modality] if number == 0 else _varied(batch.inputs[modality], modality, config)
                features = network.features[modality](given)
                latent = network.decoder(modality).encode(network.standardize[modality](features))
                seen.append(torch.cat([latent, network.meaning(modality, features)], 1))
                bar.update(len(given))
            found.append(torch.stack(seen, 1))
    both = torch.cat(found)
    size = network.decoder(modality).latent_size
    return both[..., :size], both[..., size:]


def viewed_pairs(rows: Rows, known: dict[str, tuple[Tensor, Tensor]]) -> Rows:
    """Returns every pair in combinations of views, taken in turn: latents and shared embeddings side by side."""
    count = max(latents.shape[1] for latents, _ in known.values())
    stores = {}
    for m, (latents, meanings) in known.items():
        values = torch.cat([latents, meanings], 2)
        number = torch.unique(rows.stores[m].entry[rows.rows], return_inverse=True)[1]
        view = (torch.arange(count)[:, None] + torch.arange(len(number))) % values.shape[1]
        entry = number * values.shape[1] + view
        stores[m] = Store(values.flatten(0, 1), entry.flatten())
    return Rows(stores, None, torch.arange(count * len(rows)))


def bank_of(pairs: Pairs, meanings: dict[str, Tensor]) -> RetrievalIndex:
    """Builds the retrieval index: shared embeddings of the training files, with their names."""
    frame = pairs.table.frame[pairs.table.frame["split"] == "train"]
    files = {}
    for m in meanings:
        entry = pairs.rows.stores[m].entry[pairs.rows.rows].numpy()
        first = np.unique(entry, return_index=True)[1]  # in the order of `files_of`
        files[m] = [str(pairs.table.path(name).absolute()) for name in frame[m].iloc[first]]
    return RetrievalIndex(files, meanings)


def _varied(given: Tensor, modality: str, config: TranslatorConfig) -> Tensor:
    """Varies decoded sounds a little, as other recordings could differ; without noise. Images are unchanged."""
    if modality not in VARIED:
        return given
    chance = config.augment
    shift = round(chance.audio_shift_seconds * config.audio.sample_rate_hz)
    varied: Tensor = AugmentWaveform(chance.audio_speed, chance.audio_gain_db, shift, 0.0)(given)
    return varied
