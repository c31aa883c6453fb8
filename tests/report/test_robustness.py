"""The conclusion of a robustness study in words, by hand."""

from sightsound.report.robustness import conclusion
from sightsound.studies.robustness.conditions import CLEAN, EITHER, Condition
from sightsound.studies.robustness.curves import curves
from sightsound.studies.robustness.measure import Measurement
from sightsound.studies.robustness.study import RobustnessStudy


def measured(condition: Condition, accuracy: float, **intervals: float) -> Measurement:
    return Measurement(condition, accuracy, accuracy, accuracy, None, None, **intervals)


def study(gain_low: float, best: str = "predict") -> RobustnessStudy:
    gain = {"gain": 0.02, "gain_low": gain_low, "gain_high": 0.03} if best == "predict" else {}
    found = [
        measured(Condition(CLEAN), 0.95, low=0.9, high=0.98),
        measured(Condition("missing", "image", 1.0, "ignore"), 0.8),
        measured(Condition("missing", EITHER, 0.5, "ignore"), 0.85),
        measured(Condition("missing", EITHER, 0.5, "predict"), 0.87 if best == "predict" else 0.85, **gain),
        measured(Condition("blur", "image", 5.0), 0.6),
        measured(Condition("babble", "audio", 5.0), 0.4),
    ]
    return RobustnessStudy(found, curves(found, {}), 200)


def test_the_worst_damage_comes_first_and_intervals_stand_where_they_are_known() -> None:
    lines = conclusion(study(0.01))
    assert lines[0] == "With the files as they are, 95.0 % (90.0 to 98.0 %) of the rows are right."
    assert lines[1] == "Right without any image: 80.0 %."
    assert lines[2].endswith("at severity 5: audio, babble: 40.0 %; image, blur: 60.0 %.")


def test_a_policy_helps_where_it_is_significantly_better() -> None:
    told = "When 50 % of the files are missing, the policy predict does best: 87.0 % right, against 85.0 % under ignore"
    assert conclusion(study(0.01))[3] == f"{told}; the difference is +2.0 points (+1.0 to +3.0)."
    assert conclusion(study(-0.01))[3].endswith("(-1.0 to +3.0, not significant).")
    assert "no policy does better than to ignore" in conclusion(study(0, best="ignore"))[3]
