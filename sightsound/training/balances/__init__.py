"""What keeps one modality from starving the other while they are trained together: one small class for each way."""

from sightsound.training.balances.base import Apart, FusedOnly, Heads
from sightsound.training.balances.gradient_blend import GradientBlend
from sightsound.training.balances.ogm_ge import OgmGe
from sightsound.training.balances.unimodal_teacher import UnimodalTeacher

__all__ = ["BALANCES", "Apart", "FusedOnly", "GradientBlend", "Heads", "OgmGe", "UnimodalTeacher"]

BALANCES: dict[str, type[Heads]] = {
    "apart": Apart,
    "heads": Heads,
    "none": FusedOnly,
    "ogm-ge": OgmGe,
    "gradient-blend": GradientBlend,
    "unimodal-teacher": UnimodalTeacher,
}
