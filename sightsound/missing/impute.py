"""Imputes the embedding of a modality that a row lacks from those that it has: one class for each policy.

Unimodal embeddings (B, D) + presence -> `Imputed`; the network then fuses as if no modality were missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from sightsound.hardware import reseed
from sightsound.types import Imputed

KEPT_ROWS = 2048  # complete training rows among which `nearest` searches
HELD_OUT = 0.1  # share of the complete rows that estimate the uncertainty
HIDDEN, STEPS, PASSES, BATCH, RATE = 256, 400, 200, 128, 1e-2  # of `predict` and `generate`; the fewer steps apply
SAMPLES, FLOW_STEPS = 8, 8  # samples of `generate`, and the integration steps of each


class Impute(Protocol):
    """Imputes embeddings: per modality unimodal ones (B, D), zeros where absent, and presence (B,) -> `Imputed`."""

    def __call__(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Imputed]:
        """Imputes only the modalities that it was fitted for."""


def impute_by(imputers: Mapping[str, Imputers], policies: Mapping[str, str]) -> Impute | None:
    """Returns an `Impute` that applies several policies; None if there are none.

    Args:
        imputers: policy -> its imputers.
        policies: modality -> policy.
    """
    if not policies:
        return None
    return lambda embeddings, present: {m: imputers[p](embeddings, present)[m] for m, p in policies.items()}


class Imputer(nn.Module):
    """Maps the embeddings of the other modalities (B, given) to that of one absent modality (B, size).

    Args:
        given: the total size of the embeddings of all other modalities.
        size: the size of the imputed embedding.
    """

    uncertainty: Tensor

    def __init__(self, given: int, size: int) -> None:
        super().__init__()
        self.register_buffer("uncertainty", torch.ones(()))

    def fit(self, given: Tensor, wanted: Tensor) -> None:
        """Fits on nine tenths of complete rows (n, given), (n, size); the others estimate the uncertainty."""
        held = max(round(HELD_OUT * len(given)), 1)
        order = torch.randperm(len(given), generator=torch.Generator().manual_seed(0))
        test, train = order[:held], order[held:]
        self.estimate(given[train], wanted[train])
        with torch.no_grad():
            left = (self(given[test]) - wanted[test]).square().mean()
            self.uncertainty.copy_((left / wanted.var(0).mean().clamp_min(1e-12)).sqrt().clamp(0, 1))

    def estimate(self, given: Tensor, wanted: Tensor) -> None:
        """Fits the parameters on rows (n, given), (n, size)."""
        raise NotImplementedError

    def forward(self, given: Tensor) -> Tensor:
        """(B, given) -> (B, size)."""
        raise NotImplementedError

    def sample(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """(B, given) -> K samples (B, K, size) and their uncertainty (B,): here one sample, and a constant."""
        return self(given)[:, None], self.uncertainty.expand(len(given))


class Mean(Imputer):
    """The mean embedding of the training rows: the simplest imputer, and the baseline."""

    mean: Tensor

    def __init__(self, given: int, size: int) -> None:
        super().__init__(given, size)
        self.register_buffer("mean", torch.zeros(size))

    def estimate(self, given: Tensor, wanted: Tensor) -> None:
        """Fits on rows (n, size)."""
        self.mean.copy_(wanted.mean(0))

    def forward(self, given: Tensor) -> Tensor:
        """(B, given) -> (B, size)."""
        return self.mean.expand(len(given), -1)


class Nearest(Imputer):
    """The embedding of the complete training row whose other modalities are closest; hot-deck imputation.

    It searches among at most 2,048 rows, so that bundles stay small.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, given: int, size: int) -> None:
        super().__init__(given, size)
        self.register_buffer("keys", torch.zeros(KEPT_ROWS, given, dtype=torch.float16))
        self.register_buffer("values", torch.zeros(KEPT_ROWS, size, dtype=torch.float16))

    def estimate(self, given: Tensor, wanted: Tensor) -> None:
        """Stores rows; where there are fewer than it can store, some twice."""
        kept = torch.arange(KEPT_ROWS) % len(given)
        if len(given) > KEPT_ROWS:
            kept = torch.randperm(len(given), generator=torch.Generator().manual_seed(0))[:KEPT_ROWS]
        self.keys.copy_(given[kept])
        self.values.copy_(wanted[kept])

    def forward(self, given: Tensor) -> Tensor:
        """(B, given) -> (B, size)."""
        closest = torch.cdist(given.float(), self.keys.float()).argmin(1)
        return self.values[closest].float()


class Predict(Imputer):
    """A small network, trained on the complete rows to predict one modality's embedding from the others'.

    It estimates the conditional mean of the absent embedding (least squares), as regression imputation does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, given: int, size: int) -> None:
        super().__init__(given, size)
        self.given = given
        self.register_buffer("mean", torch.zeros(given + size))
        self.register_buffer("std", torch.ones(given + size))
        self.net = nn.Sequential(nn.Linear(given, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, size))

    def estimate(self, given: Tensor, wanted: Tensor) -> None:
        """Trains from fresh weights; deterministic for the same rows."""
        x, y = _standardized(self, given, wanted)
        _train(self.net, lambda rows: (self.net(x[rows]) - y[rows]).square().mean(), len(x))

    def forward(self, given: Tensor) -> Tensor:
        """(B, given) -> (B, size)."""
        out: Tensor = self.net((given - self.mean[: self.given]) / self.std[: self.given])
        return out * self.std[self.given :] + self.mean[self.given :]


class Generate(Imputer):
    """Samples several embeddings of the absent modality from a conditional flow, trained on the complete rows.

    Flow matching (Lipman et al., ICLR 2023): a small network is trained on straight paths from noise to data. The
    predictions from the samples are averaged, and the samples' spread is the uncertainty. The noise is the same for
    every row, so that a prediction does not depend on the other rows of a batch.
    """

    mean: Tensor
    std: Tensor
    noise: Tensor

    def __init__(self, given: int, size: int) -> None:
        super().__init__(given, size)
        self.given = given
        self.register_buffer("mean", torch.zeros(given + size))
        self.register_buffer("std", torch.ones(given + size))
        self.register_buffer("noise", torch.randn(SAMPLES, size, generator=torch.Generator().manual_seed(0)))
        self.net = nn.Sequential(nn.Linear(given + size + 1, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, size))

    def estimate(self, given: Tensor, wanted: Tensor) -> None:
        """Trains from fresh weights; deterministic for the same rows."""
        x, y = _standardized(self, given, wanted)

        def loss(rows: Tensor) -> Tensor:
            start, time = torch.randn_like(y[rows]), torch.rand(len(rows), 1, device=y.device)
            way: Tensor = self.net(torch.cat([x[rows], start + time * (y[rows] - start), time], 1))
            return (way - (y[rows] - start)).square().mean()

        _train(self.net, loss, len(x))

    def sample(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """(B, given) -> samples (B, K, size), and their spread (B,)."""
        known = ((given - self.mean[: self.given]) / self.std[: self.given])[:, None].expand(-1, SAMPLES, -1)
        found = self.noise.expand(len(given), -1, -1)
        for step in range(FLOW_STEPS):
            time = torch.full_like(found[..., :1], step / FLOW_STEPS)
            found = found + self.net(torch.cat([known, found, time], 2)) / FLOW_STEPS
        spread = found.var(1).mean(1).sqrt().clamp(0, 1)
        return found * self.std[self.given :] + self.mean[self.given :], spread

    def forward(self, given: Tensor) -> Tensor:
        """(B, given) -> (B, size), the mean of the samples."""
        possibilities, _ = self.sample(given)
        return possibilities.mean(1)


def _standardized(imputer: Predict | Generate, given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Standardises each dimension of both (n, .), and stores the statistics in the imputer."""
    both = torch.cat([given, wanted], 1)
    imputer.mean.copy_(both.mean(0))
    imputer.std.copy_(both.std(0).clamp_min(1e-6))
    x, y = ((both - imputer.mean) / imputer.std).tensor_split([imputer.given], 1)
    return x, y


@torch.enable_grad()
def _train(net: nn.Sequential, loss_of: Callable[[Tensor], Tensor], rows: int) -> None:
    """Trains a network from fresh weights on batches of row numbers; deterministic."""
    with torch.random.fork_rng(devices=[]):
        reseed(0)
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01, fused=True)
        steps = min(STEPS, math.ceil(PASSES * rows / BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
        for _ in range(steps):
            loss = loss_of(torch.randint(rows, (BATCH,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


class Imputers(nn.Module):
    """Imputers of some modalities, together an `Impute` for the ones of these that a row lacks.

    Args:
        kinds: modality -> class of its imputer; a modality that is not named stays absent.
        sizes: the embedding size of each modality.
    """

    def __init__(self, kinds: Mapping[str, type[Imputer]], sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.modalities = list(sizes)
        every = sum(sizes.values())
        self.of = nn.ModuleDict({m: kind(every - sizes[m], sizes[m]) for m, kind in kinds.items()})

    def fit(self, embeddings: Mapping[str, Tensor]) -> None:
        """Fits on complete rows, per modality unimodal embeddings (n, D)."""
        for m, imputer in self.of.items():
            cast(Imputer, imputer).fit(self._others(embeddings, m), embeddings[m])

    @torch.no_grad()
    def forward(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Imputed]:
        """Imputes as `Impute` says. Rows without any modality are not imputed."""
        any_there = torch.stack([present[m] for m in self.modalities]).any(0)
        imputed = {}
        for m, module in self.of.items():
            values, uncertainty = cast(Imputer, module).sample(self._others(embeddings, m))
            imputed[m] = Imputed(values, ~present[m] & any_there, uncertainty)
        return imputed

    def _others(self, embeddings: Mapping[str, Tensor], modality: str) -> Tensor:
        return torch.cat([embeddings[m] for m in self.modalities if m != modality], 1)
