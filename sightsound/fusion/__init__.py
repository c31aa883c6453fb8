"""Fusion strategies by family and name. A dotted path to your own class works in place of a name."""

from sightsound.fusion.base import Fusion
from sightsound.fusion.decision import (
    Confidence,
    Evidential,
    Majority,
    MaxDecision,
    Product,
    Stacking,
    Vote,
    Weighted,
)
from sightsound.fusion.feature import (
    Attention,
    Average,
    Bilinear,
    Concat,
    Embrace,
    Film,
    Gated,
    Interaction,
    Max,
    Sum,
    TensorFusion,
    Transformer,
)
from sightsound.fusion.hierarchical import Bottleneck, Central, CrossAttention, Mmtm
from sightsound.fusion.search import Search

__all__ = ["DECISION", "FEATURE", "HIERARCHICAL", "STRATEGIES", "Fusion"]

FEATURE: dict[str, type[Fusion]] = {
    "concat": Concat,
    "average": Average,
    "sum": Sum,
    "max": Max,
    "gated": Gated,
    "attention": Attention,
    "film": Film,
    "bilinear": Bilinear,
    "tensor": TensorFusion,
    "interaction": Interaction,
    "embrace": Embrace,
    "transformer": Transformer,
}
DECISION: dict[str, type[Fusion]] = {
    "vote": Vote,
    "weighted": Weighted,
    "product": Product,
    "max-decision": MaxDecision,
    "majority": Majority,
    "stacking": Stacking,
    "confidence": Confidence,
    "evidential": Evidential,
}
HIERARCHICAL: dict[str, type[Fusion]] = {
    "mmtm": Mmtm,
    "central": Central,
    "bottleneck": Bottleneck,
    "cross-attention": CrossAttention,
    "search": Search,
}
STRATEGIES: dict[str, type[Fusion]] = {**FEATURE, **DECISION, **HIERARCHICAL}
