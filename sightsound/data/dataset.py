"""Serves rows of prepared tensors as batches: Store per modality -> Batch, in an order decided by seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sightsound.data.prepared.store import Store
from sightsound.types import Batch


class Rows(Dataset[Batch]):
    """Some rows of a table; indexed by a list of positions it returns one whole `Batch`.

    Args:
        stores: the store of each modality, over the whole table.
        target: (rows,) class indices over the whole table, or None.
        rows: (n,) the positions in the table that belong here.
    """

    def __init__(self, stores: dict[str, Store], target: Tensor | None, rows: Tensor) -> None:
        self.stores = stores
        self.target = target
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def classes(self) -> Tensor:
        """(n,) class indices. Raises ValueError where they are not known."""
        if self.target is None:
            raise ValueError("these rows have no targets")
        return self.target[self.rows]

    def complete(self) -> Tensor:
        """(n,) bool: which of the rows have every modality."""
        return torch.stack([store.entry[self.rows] > 0 for store in self.stores.values()]).all(0)

    def __getitem__(self, positions: list[int]) -> Batch:
        rows = self.rows[positions]
        inputs, present = {}, {}
        for modality, store in self.stores.items():
            entry = store.entry[rows]
            present[modality] = entry > 0
            inputs[modality] = store.read(entry)
        return Batch(inputs, present, None if self.target is None else self.target[rows])


class BatchOrder(Sampler[list[int]]):
    """Positions in lists of `batch_size`; shuffled by seed and epoch, so that a resumed run repeats; None: in order."""

    def __init__(self, rows: int, batch_size: int, seed: int | None) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch; called before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(self.rows)
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.rows, generator=generator)
        for start in range(0, self.rows, self.batch_size):
            yield order[start : start + self.batch_size].tolist()


def loader(rows: Rows, batch_size: int, seed: int | None = None) -> DataLoader[Batch]:
    """Returns batches of all rows; shuffled if a seed is given."""
    # a generator of its own; otherwise each pass would draw a number from the caller's
    order = BatchOrder(len(rows), batch_size, seed)
    return DataLoader(rows, batch_size=None, sampler=order, generator=torch.Generator())
