from __future__ import annotations

import pytest

from gristmill.cli import main as module


def test_an_interrupt_while_the_command_loads_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "start_fork_server", interrupted)
    monkeypatch.setattr(module, "_hide_from_workers", lambda: None)
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 130
