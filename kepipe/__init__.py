"""A text corpus + a knowledge graph + a base model → a language model that knows the graph.

From Python: `kepipe.run` runs a pipeline, `kepipe.load` opens a model, `kepipe.tune` searches settings. Importing
kepipe imports none of its libraries: each of these is found when it is first asked for.
"""

from typing import TYPE_CHECKING

from kepipe.version import __version__

if TYPE_CHECKING:
    from kepipe.api.loading import LoadedModel, load
    from kepipe.api.result import RunResult
    from kepipe.api.running import run
    from kepipe.api.tuning import TuneResult, tune
else:
    _HOMES = {
        "LoadedModel": "kepipe.api.loading",
        "RunResult": "kepipe.api.result",
        "TuneResult": "kepipe.api.tuning",
        "load": "kepipe.api.loading",
        "run": "kepipe.api.running",
        "tune": "kepipe.api.tuning",
    }

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__():
        return sorted({*globals(), *_HOMES})


__all__ = ["LoadedModel", "RunResult", "TuneResult", "__version__", "load", "run", "tune"]
