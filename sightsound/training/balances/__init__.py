"""Balances, which keep one modality from dominating joint training: one small class for each method."""

from sightsound.training.balances.agm import Agm
from sightsound.training.balances.base import Auxiliary, Detached, FusedOnly
from sightsound.training.balances.gradient_blend import GradientBlend
from sightsound.training.balances.mla import Mla
from sightsound.training.balances.mmpareto import MMPareto
from sightsound.training.balances.ogm_ge import OgmGe
from sightsound.training.balances.unimodal_teacher import UnimodalTeacher

__all__ = [
    "BALANCES",
    "Agm",
    "Auxiliary",
    "Detached",
    "FusedOnly",
    "GradientBlend",
    "MMPareto",
    "Mla",
    "OgmGe",
    "UnimodalTeacher",
]

BALANCES: dict[str, type[Auxiliary]] = {
    "detached": Detached,
    "auxiliary": Auxiliary,
    "fused-only": FusedOnly,
    "ogm-ge": OgmGe,
    "gradient-blend": GradientBlend,
    "unimodal-teacher": UnimodalTeacher,
    "mmpareto": MMPareto,
    "agm": Agm,
    "mla": Mla,
}
