from pathlib import Path

import pytest

from tests.cli.console import Console


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(capfd)
