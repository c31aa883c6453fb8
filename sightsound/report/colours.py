"""One set of colours for all pages and plots: a modality, a policy or a family has the same one in every chart."""

from __future__ import annotations

from zlib import crc32

PALETTE = {  # name -> on light, on dark ground; told apart by colour-blind readers too
    "blue": ("#0b66b0", "#6cb4f5"),
    "orange": ("#c4560a", "#ff9f54"),
    "green": ("#0b7d5c", "#4fcf9f"),
    "purple": ("#7d4bb0", "#c79bf0"),
    "sky": ("#2a86b8", "#8fd6ff"),
    "gold": ("#8f6d00", "#e6c34a"),
    "pink": ("#b83f83", "#f59cc8"),
    "grey": ("#66727f", "#a5b0bc"),
    "red": ("#b3261e", "#ff8a80"),
    "lime": ("#55740a", "#b9d650"),
    "brown": ("#7a4b2b", "#d8ab86"),
}
NAMED = {
    "image+audio": "blue",
    "image": "orange",
    "audio": "green",
    "as given": "purple",
    "feature": "sky",
    "decision": "gold",
    "hierarchical": "pink",
    "unimodal": "grey",
    "ignore": "grey",
    "linear": "gold",
    "gaussian": "pink",
    "mean": "lime",
    "nearest": "brown",
    "predict": "sky",
    "generate": "red",
    "train loss": "grey",
    "val loss": "pink",
}
OTHERS = ("sky", "pink", "gold", "purple", "grey")  # of third-party modalities and policies


def colour_of(name: str) -> str:
    """The name in `PALETTE` of what is shown: a subset of modalities as in `metrics.json`, a policy, a family."""
    return NAMED.get(name) or OTHERS[crc32(name.encode("utf-8", "replace")) % len(OTHERS)]


def style_sheet() -> str:
    """The palette as variables of CSS, such as `--blue`, by the reader's setting; printed pages are light."""
    light, dark = ("".join(f"--{name}:{shades[ground]};" for name, shades in PALETTE.items()) for ground in (0, 1))
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
