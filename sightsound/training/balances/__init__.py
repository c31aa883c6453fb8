"""What keeps one modality from starving the other while they are trained together: one small class for each way."""

from sightsound.training.balances.agm import Agm
from sightsound.training.balances.base import Apart, FusedOnly, Heads
from sightsound.training.balances.gradient_blend import GradientBlend
from sightsound.training.balances.mla import Mla
from sightsound.training.balances.mmpareto import MMPareto
from sightsound.training.balances.ogm_ge import OgmGe
from sightsound.training.balances.unimodal_teacher import UnimodalTeacher

__all__ = [
    "BALANCES",
    "Agm",
    "Apart",
    "FusedOnly",
    "GradientBlend",
    "Heads",
    "MMPareto",
    "Mla",
    "OgmGe",
    "UnimodalTeacher",
]

BALANCES: dict[str, type[Heads]] = {
    "apart": Apart,
    "heads": Heads,
    "none": FusedOnly,
    "ogm-ge": OgmGe,
    "gradient-blend": GradientBlend,
    "unimodal-teacher": UnimodalTeacher,
    "mmpareto": MMPareto,
    "agm": Agm,
    "mla": Mla,
}
