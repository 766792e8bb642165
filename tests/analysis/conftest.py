from pathlib import Path

import pytest

from tests.support.handmade_record import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)
