"""``gristmill tune`` as people run it: a process, the example, a real SQLite file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
USERS = Path(__file__).parents[2] / "examples" / "users.py"


def test_the_example_is_measured_and_drawn(tmp_path: Path) -> None:
    rows = "".join(f"Person {number},p{number}@example.org\n" for number in range(3000))
    (tmp_path / "people.csv").write_text("name,email\n" + rows)
    words = ["--sizes", "1,10,100", "--repeats", "5", "--seconds", "30", "-o", "curve.png"]
    done = subprocess.run(
        [GRISTMILL, "tune", f"{USERS}:create_users", "people.csv", *words],
        cwd=tmp_path,
        env=os.environ | {"USERS_DB": str(tmp_path / "users.db")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # where matplotlib may say that it looks for fonts
    assert done.stdout.startswith("users: 15 batches of 3 sizes")
    assert "Recommended: max_size=" in done.stdout
    assert "failed" not in done.stdout  # 667 of 3000 rows: none came twice
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
