"""YAML → frozen typed config. An error names file, line, key, and the nearest key there is."""

from kepipe.config.duration import Duration
from kepipe.config.errors import ConfigConflict, ConfigError, suggest
from kepipe.config.named_section import named_section
from kepipe.config.paths import UserPath, UserPaths, UserSource
from kepipe.config.section import Section, cache_key_fields, runtime_only
from kepipe.config.validation import validate
from kepipe.config.yaml_file import Key, Settings, as_yaml, merge, override, parse_value, read

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
    "as_yaml",
    "cache_key_fields",
    "merge",
    "named_section",
    "override",
    "parse_value",
    "read",
    "runtime_only",
    "suggest",
    "validate",
]
