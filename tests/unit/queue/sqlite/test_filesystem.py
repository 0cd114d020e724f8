from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from gristmill.errors import StoreMisconfigured
from gristmill.queue.sqlite import filesystem
from gristmill.queue.sqlite.filesystem import filesystem_of, network_filesystem
from gristmill.queue.sqlite.store import SqliteStore

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:50 / /mnt/share rw shared:1 - nfs4 server:/share rw
31 30 8:2 / /mnt/share/local rw shared:2 master:1 - xfs /dev/sdb rw
32 22 0:51 / /mnt/with\\040space rw - cifs //server/a rw
33 22 8:3 / /mnt/twice rw - ext4 /dev/sdc rw
34 22 0:52 / /mnt/twice rw - 9p c: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/mnt", "ext4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/queues", "nfs4"),
        ("/mnt/share/local/queues", "xfs"),
        ("/mnt/with space/queues", "cifs"),
        ("/mnt/twice", "9p"),
    ],
)
def test_the_deepest_mount_counts(folder, kind):
    assert filesystem_of(PurePosixPath(folder), MOUNTS) == kind


def test_a_local_folder_is_on_no_network_filesystem(tmp_path):
    assert network_filesystem(tmp_path) is None


def test_where_nobody_tells_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert network_filesystem(tmp_path) is None


async def test_a_network_filesystem_is_refused(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text("22 1 8:1 / / rw,relatime - nfs server:/ rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    store = SqliteStore(f"sqlite:///{tmp_path / 'queue.db'}")
    with pytest.raises(StoreMisconfigured, match="network filesystem \\(nfs\\)"):
        await store.open()
    assert not (tmp_path / "queue.db").exists()
    await store.close()
