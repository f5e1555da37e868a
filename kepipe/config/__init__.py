"""YAML → frozen typed config. An error names file, line, key, and the nearest key there is."""

from kepipe.config.duration import Duration
from kepipe.config.errors import ConfigConflict, ConfigError, suggest
from kepipe.config.paths import UserPath, UserPaths, UserSource
from kepipe.config.section import Section, cache_key_fields, runtime_only
from kepipe.config.validation import validate
from kepipe.config.yaml_file import Key, Settings, merge, override, read

__all__ = [
    "ConfigConflict",
    "ConfigError",
    "Duration",
    "Key",
    "Section",
    "Settings",
    "UserPath",
    "UserPaths",
    "UserSource",
    "cache_key_fields",
    "merge",
    "override",
    "read",
    "runtime_only",
    "suggest",
    "validate",
]
