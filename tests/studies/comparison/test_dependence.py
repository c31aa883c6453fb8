"""Embeddings of which it is known whether they depend on each other given the class."""

import numpy as np
import torch

from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows
from sightsound.data.prepared.store import Store
from sightsound.studies.comparison.dependence import conditional_dependence

ALONE = Clusters.of_rows(1500)


def rows(kind: str, seed: int, count: int = 1500) -> Rows:
    """The sum of two numbers from 0 to 3 modulo 4 as class ("sum"), or both modalities showing the class ("same")."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(4, (count,), generator=generator)
    audio = torch.randint(4, (count,), generator=generator) if kind == "sum" else image
    target = (image + audio) % 4 if kind == "sum" else image
    stores = {}
    for name, shown in (("image", image), ("audio", audio)):
        values = torch.nn.functional.one_hot(shown, 4) + 0.3 * torch.randn(count, 4, generator=generator)
        stores[name] = Store(torch.cat([torch.zeros(1, 4), values]), torch.arange(count) + 1)
    return Rows(stores, target, torch.arange(count))


def test_a_sum_ties_the_modalities_to_each_other() -> None:
    found = conditional_dependence(rows("sum", 0), rows("sum", 1), ALONE, 4)
    assert found and found.found and found.accuracy > 0.7


def test_pairs_by_label_are_independent_given_it() -> None:
    found = conditional_dependence(rows("same", 0), rows("same", 1), ALONE, 4)
    assert found and not found.found
    assert found.low < 0.5 < found.high or abs(found.accuracy - 0.5) < 0.03


def test_too_few_rows_are_not_judged() -> None:
    assert conditional_dependence(rows("sum", 0, 40), rows("sum", 1, 40), Clusters.of_rows(40), 4) is None


def test_the_interval_is_of_clusters() -> None:
    """Thirty recordings that stand in fifty rows each tell as much as little more than thirty rows."""
    held_out = rows("sum", 1)
    first = torch.arange(30).repeat_interleave(50)  # each row is one of the first thirty, to the last number
    stores = {m: store._replace(entry=store.entry[first]) for m, store in held_out.stores.items()}
    repeated = Rows(stores, held_out.target[first], held_out.rows)
    clusters = Clusters("group", (first.numpy(),))
    found = [conditional_dependence(rows("sum", 0), repeated, of, 4) for of in (ALONE, clusters)]
    assert found[0].accuracy == found[1].accuracy
    alone, clustered = (each.high - each.low for each in found)
    assert clustered > 3 * alone and np.isclose(alone, 0.03, atol=0.02)
