"""`sightsound inspect TABLE_OR_BUNDLE`: what is in it, before anything is trained or trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from sightsound.cli.common import Parser, trust_argument
from sightsound.cli.tables import metrics_table, text_table
from sightsound.config import ColumnsConfig, columns_type, roles
from sightsound.data.sources.base import SourceOptions
from sightsound.modalities.base import MODALITIES, modality

if TYPE_CHECKING:
    import pandas as pd

EXAMPLE = """Of a table: rows, classes, splits, missing modalities, sizes and lengths, every file that cannot be read,
and what a training on it would make of it. All files are read; a training starts at once afterwards.
Of a bundle: what it knows, how it is built and what it reached.

  sightsound inspect table.csv
  sightsound inspect runs/first/bundle
"""


def run(arguments: Sequence[str]) -> None:
    """Parses, inspects and prints."""
    parser = Parser("inspect", "TABLE_OR_BUNDLE", EXAMPLE)
    parser.add_argument("what", help="a table, a folder of classes, the name of a data set, or a bundle")
    parser.add_class_arguments(columns_type(), "columns")
    parser.add_class_arguments(SourceOptions, nested_key=None)
    trust_argument(parser)
    given = parser.parse(arguments)
    from sightsound.bundle.files import CONFIG
    from sightsound.data.datasets import table_for

    what = Path(given.what)
    if (what / CONFIG).exists() or (what / "bundle" / CONFIG).exists():
        inspect_bundle(given.what, given.trust)
    else:
        source = SourceOptions(**{f.name: given[f.name] for f in fields(SourceOptions)})
        inspect_table(table_for(given.what, source), columns_type()(**given.columns.as_dict()))


def inspect_bundle(folder: str, trust: bool) -> None:
    """Prints classes, build and metrics of a bundle."""
    from sightsound.bundle import describe_decision
    from sightsound.classifier import load
    from sightsound.config.parts import part_in_words

    classifier = load(folder, trust=trust)
    config = classifier.config
    size = sum(p.numel() for p in classifier.network.parameters())
    print(f"A classifier of {len(classifier.classes_)} classes: {', '.join(classifier.classes_)}")
    print(
        f"fusion {part_in_words(config.fusion, config.fusion_options)}, schedule {config.schedule}, {size:,} parameters"
    )
    for m in config.modalities:
        print(f"{m}: {modality(m).describe(getattr(config, m))}")
    if classifier.metrics:
        print(f"\nMeasured on {classifier.metrics['rows']} rows of the split {classifier.metrics['split']!r}:\n")
        print(metrics_table(classifier.metrics))
    decision = classifier.network.decision.named(classifier.classes_.tolist())
    for sentence in describe_decision(decision, classifier.metrics):
        print(sentence)


def inspect_table(source: str | Path | pd.DataFrame, columns: ColumnsConfig) -> None:
    """Prints counts, sizes, bad rows, and a training's warnings about a table."""
    import pandas as pd

    from sightsound.config import config_type
    from sightsound.data.cautions import cautions
    from sightsound.data.decode import prepare_rows, summary
    from sightsound.data.prepare import cuts, fill_in, probe
    from sightsound.data.remarks import sentences
    from sightsound.data.splits import split
    from sightsound.data.table import incomplete_rows, read_table
    from sightsound.errors import TableError

    refused = ""
    try:
        table = read_table(source, columns)
    except TableError as error:
        table, refused = read_table(source, columns, labelled=False), str(error)
    frame = table.frame
    present = tuple(m for m in MODALITIES if (frame[m] != "").any())
    print(f"{len(frame)} rows; " + "; ".join(f"{(frame[m] != '').sum()} with {m}" for m in MODALITIES))
    used = {str(getattr(columns, role)).casefold() for role in roles()}
    others = [str(name) for name in table.given if str(name).casefold() not in used]
    if others:
        print(f"columns that are not used: {', '.join(others)}")
    if (frame["group"] != "").any():
        print(f"{frame['group'].nunique()} groups")
    infos, rejected = probe(table, present)
    for m, found in infos.items():
        sizes = pd.DataFrame(found, columns=list(modality(m).headers))
        low, middle, high = (sizes.astype(float).quantile(q) for q in (0, 0.5, 1))
        for name in modality(m).sizes:
            print(f"{m} {name}: {low[name]:.4g} to {high[name]:.4g}, median {middle[name]:.4g}")
    splits = frame["split"].where(frame["split"] != "", "(none)")
    counts = pd.crosstab(frame["label"].where(frame["label"] != "", "(empty)"), splits)
    counted = [[label, *row] for label, row in zip(counts.index, counts.to_numpy(), strict=True)]
    print("\n" + text_table([["label", *counts.columns], *counted]))
    rejected += incomplete_rows(table, tuple(MODALITIES), labelled=bool((frame["label"] != "").any()))
    table = table.without({bad.row for bad in rejected})
    asked = config_type()(modalities=tuple(m for m in present if len(infos[m])) or tuple(MODALITIES))
    config, notes = fill_in(asked, infos), list(table.notes)
    if len(table.frame):
        rows, undecodable = prepare_rows(table, config, None, keep=True)  # cached, so that a training starts at once
        rejected += undecodable
        read = table.with_frame(table.frame.iloc[rows.rows.numpy()])
        try:
            split(read, 0)
        except TableError as error:
            refused = refused or str(error)
        notes += [*cautions(read, rows.stores, rows.rows), *cuts(asked, config, infos), *sentences(rows.stores, table)]
    for note in notes:
        print(f"\nNote: {note}")
    print("\n" + (summary(table.name, rejected) if rejected else "Every file can be read."))
    if refused:
        print(f"\nA training would refuse it: {refused}")
