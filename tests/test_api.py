"""The calls of Python's API take a classifier or its bundle, and one study goes on as the other began."""

from pathlib import Path

import pytest
import torch

import sightsound as ss
from sightsound.errors import ConfigError
from sightsound.studies.robustness.study import conditions


def test_robustness_of_a_classifier_is_that_of_its_bundle(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [one for one in conditions(("image", "audio"), ["mean"]) if one.level in (0, 0.5, 1, 5)]
    monkeypatch.setattr("sightsound.studies.robustness.study.conditions", lambda *_: some)
    table, run = trained
    lines: list[str] = []
    asked = {"options": ss.RobustnessOptions(rows=3), "out": tmp_path / "run", "say": lines.append}
    first = ss.robustness(run / "bundle", table, **asked)
    classifier = ss.load(run / "bundle")
    again = ss.robustness(classifier, table, **asked, resume=True)
    assert again == first and f"{len(some)} of {len(some)} conditions are measured already." in lines
    with torch.no_grad():
        next(classifier.network.parameters()).mul_(1.5)
    with pytest.raises(ss.SightsoundError, match="other settings \\(classifier differ"):
        ss.robustness(classifier, table, **asked, resume=True)
    with pytest.raises(ss.SightsoundError, match="other settings \\(classifier differ"):
        ss.robustness(ss.load(run / "bundle").under("drop"), table, **asked, resume=True)


@pytest.mark.parametrize("fusion", ["concat", "vote"])
def test_a_strategy_for_balances_without_a_balance_is_refused(fusion: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"strategies='{fusion}'"):
        ss.compare("digits", fusion=fusion, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
