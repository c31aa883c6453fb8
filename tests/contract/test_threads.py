"""One classifier may be used from many threads: answering changes nothing in it, whatever each thread asks for."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import sightsound as ss
from sightsound.fusion import STRATEGIES
from sightsound.inference.subsets import answers
from sightsound.missing import IMPUTERS, impute_by
from sightsound.network.build import new_imputers
from tests.contract.batches import batch_of, network_with

THREADS, ROUNDS = 8, 2


def state_of(module: nn.Module) -> dict[str, Any]:
    """Everything that a module holds, by the path of the part that holds it; tensors as bytes."""
    found: dict[str, Any] = {}
    for name, part in module.named_modules():
        held = {k: v for k, v in vars(part).items() if k not in ("_parameters", "_buffers", "_modules")}
        found[name] = {k: v if isinstance(v, torch.Tensor) else repr(v) for k, v in held.items()}
        found[f"{name} parts"] = [(k, id(v)) for k, v in part._modules.items()]
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found["tensors"] = {k: (v.requires_grad, v.dtype, v.detach().numpy().tobytes()) for k, v in tensors.items()}
    return copy.deepcopy(found)


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    """What many calls give that run at the same time, in their order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("fusion", sorted(STRATEGIES))
def test_threads_with_other_policies_and_subsets_answer_as_one_thread(fusion: str) -> None:
    network = network_with(fusion).eval()
    everything = network.featurize(batch_of(60, seed=1))
    imputers = {policy: new_imputers(network, policy).eval() for policy in ("mean", "nearest")}
    with torch.no_grad():
        own = network.encode(everything.inputs, everything.present).unimodal
    for one in imputers.values():
        one.fit(own)
    batches = [batch_of(3, missing=True), batch_of(5, seed=2), batch_of(2, missing=True, seed=3)]
    fills = [
        None,
        *(impute_by(imputers, {"image": a, "audio": b}) for a, b in (("mean", "nearest"), ("nearest", "mean"))),
    ]
    calls = [lambda b=b, f=f: answers(network, network.featurize(b), f) for b in batches for f in fills] * ROUNDS
    expected, before = [call() for call in calls], state_of(network)
    for one, other in zip(in_threads(calls), expected, strict=True):
        assert one.keys() == other.keys()
        for subset in one:
            assert torch.equal(one[subset].probabilities, other[subset].probabilities)
            for m in one[subset].ood_score:
                assert torch.equal(one[subset].ood_score[m], other[subset].ood_score[m])
    assert state_of(network) == before


def test_a_classifier_shared_by_threads_answers_files_and_tables_as_in_one(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    table, run = trained
    classifier = ss.load(run / "bundle")
    files = [
        {m: str(table.parent / f"{label}-1.{ending}") for m, ending in (("image", "png"), ("audio", "wav"))}
        for label in ("low", "high")
    ]
    given = [{m: of[m] for m in chosen} for of in files for chosen in (("image",), ("audio",), ("image", "audio"))]
    policies = ["ignore", *IMPUTERS, {"image": "mean", "audio": "ignore"}]
    calls: list[Callable[[], Any]] = [
        lambda g=g, p=p: repr(classifier.predict(**g, missing=p)) for g in given for p in policies
    ]
    frame = pd.DataFrame([{"image": "", "audio": "", **of} for of in given])
    calls += [lambda p=p: repr(classifier.predict_table(frame, missing=p)) for p in policies]
    calls *= 2
    expected, before = [call() for call in calls], state_of(classifier.network)
    assert in_threads(calls) == expected
    assert state_of(classifier.network) == before
    assert len(set(expected)) > len(given)  # or the policies would make no difference
