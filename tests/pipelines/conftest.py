from __future__ import annotations

import pytest

from tests.support.kepipe_run import Kepipe


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Kepipe:
    """The whole example, run once without interruption."""
    kepipe = Kepipe(tmp_path_factory.mktemp("finished"))
    outcome = kepipe.run()
    assert outcome.code == 0, outcome.errors
    return kepipe
