from pathlib import Path

import pytest
from handmade import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)
