"""All options of a training, each declared once: Python, YAML, command line and saved copy are made from it."""

from sightsound.config.options import (
    NO_CHANGES,
    AudioConfig,
    AugmentConfig,
    ColumnsConfig,
    Config,
    ImageConfig,
    MissingConfig,
)
from sightsound.config.registered import columns_type, config_type, mask_columns, missing_type, roles
from sightsound.config.values import (
    check_names,
    clip_seconds,
    from_dict,
    from_sections,
    imputing_policies,
    missing_config,
)

__all__ = [
    "NO_CHANGES",
    "AudioConfig",
    "AugmentConfig",
    "ColumnsConfig",
    "Config",
    "ImageConfig",
    "MissingConfig",
    "check_names",
    "clip_seconds",
    "columns_type",
    "config_type",
    "from_dict",
    "from_sections",
    "imputing_policies",
    "mask_columns",
    "missing_config",
    "missing_type",
    "roles",
]
