from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.doctor.encryption import is_encrypted


def _machine(root: Path, *mounts: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    lines = [f"{number} 1 {mount}" for number, mount in enumerate(mounts, 20)]
    (root / "proc/self/mountinfo").write_text("\n".join(lines) + "\n")
    return root


def _disk(
    root: Path, number: str, name: str, *, uuid: str = "", below: tuple[str, ...] = ()
) -> None:
    disk = root / "sys/devices" / name
    (disk / "slaves").mkdir(parents=True)
    if uuid:
        (disk / "dm").mkdir()
        (disk / "dm/uuid").write_text(f"{uuid}\n")
    for each in below:
        (disk / "slaves" / each).symlink_to(root / "sys/devices" / each)
    for folder, link in (("sys/dev/block", number), ("sys/class/block", name)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / link).symlink_to(disk)


def test_volume_on_an_encrypted_disk_is_encrypted(tmp_path: Path) -> None:
    root = _machine(tmp_path, "253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw")
    _disk(root, "8:1", "sda1")
    _disk(root, "253:0", "dm-0", uuid="CRYPT-LUKS2-0123", below=("sda1",))
    _disk(root, "253:1", "dm-1", uuid="LVM-4567", below=("dm-0",))

    assert is_encrypted(Path("/var/lib/dro"), root=root) is True


def test_array_of_one_encrypted_and_one_plain_disk_is_not_encrypted(tmp_path: Path) -> None:
    root = _machine(tmp_path, "9:0 / / rw - ext4 /dev/md0 rw")
    _disk(root, "8:1", "sda1")
    _disk(root, "253:0", "dm-0", uuid="CRYPT-LUKS2-0123")
    _disk(root, "9:0", "md0", below=("sda1", "dm-0"))

    assert is_encrypted(Path("/var/lib/dro"), root=root) is False


def test_the_deepest_mount_counts(tmp_path: Path) -> None:
    root = _machine(
        tmp_path,
        "8:1 / / rw - ext4 /dev/sda1 rw",
        "253:0 / /var/lib rw - xfs /dev/mapper/safe rw",
        "0:40 / /var/lib/dro-mem rw - tmpfs tmpfs rw",
        "8:1 / /var/lib/with\\040blank rw - ext4 /dev/sda1 rw",
    )
    _disk(root, "8:1", "sda1")
    _disk(root, "253:0", "dm-0", uuid="CRYPT-LUKS2-0123")

    assert is_encrypted(Path("/var/lib/dro"), root=root) is True
    assert is_encrypted(Path("/var/lib/dro-mem"), root=root) is True
    assert is_encrypted(Path("/var/lib/with blank"), root=root) is False
    assert is_encrypted(Path("/var"), root=root) is False


@pytest.mark.parametrize(
    ("mount", "answer"),
    [
        ("0:33 / / rw - btrfs /dev/sda1 rw", False),
        ("0:33 / / rw - overlay overlay rw,lowerdir=/a", None),
        ("0:33 / / rw - nfs4 nas:/export rw", None),
        ("0:33 / / rw - zfs tank/dro rw", None),
        ("0:33 / / rw - ecryptfs /home/.x rw", True),
        ("254:0 / / rw - ext4 /dev/vda rw", None),
        ("8:17 / / rw - ext4 /dev/unknown rw", None),
    ],
)
def test_what_the_kernel_cannot_know_is_unknown(
    tmp_path: Path, mount: str, answer: bool | None
) -> None:
    root = _machine(tmp_path, mount)
    _disk(root, "8:1", "sda1")
    _disk(root, "254:0", "vda")

    assert is_encrypted(Path("/srv"), root=root) is answer
