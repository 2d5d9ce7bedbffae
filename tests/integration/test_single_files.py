"""Whatever a tree holds: a file that is found comes back as it was, and restic is told no name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.share import Listed, as_listed
from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.repositories.restored import locate
from dr_orchestrator.restore.find import name_pattern
from dr_orchestrator.restore.single_files import SingleFiles, path_in_tree
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import AS_OF, MINUTES, PASSWORD, Bench
from tests.support.samba import WatchedLauncher

_CANARY = "Canary"
_ODD = st.sampled_from(
    [b"*", b"?", b"[a]", b"\\", b" ", b"\n", b"$HOME", b"#", b"-", b"\xe4", b"\xc3"]
)
_PART = st.lists(
    st.one_of(_ODD, st.sampled_from(["Anna", "ü", "u\u0308", "é€", "1"]).map(str.encode)),
    min_size=1,
    max_size=4,
).map(lambda signs: _CANARY.encode() + b"".join(signs))
_TREE = st.dictionaries(
    st.lists(_PART, min_size=1, max_size=3).map(b"/".join),
    st.binary(max_size=40),
    min_size=2,
    max_size=12,
)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=_TREE, data=st.data())
def test_a_file_that_is_found_comes_back_as_it_was(
    tree: dict[bytes, bytes], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(prefix="dro-") as name:
        launcher = WatchedLauncher()
        bench = Bench(Path(name), launcher)
        put_quick_repository(bench.store, PASSWORD)
        made = _make(bench.folder / "documents", tree)
        repository = bench.repository()
        root = str(bench.folder / "documents")
        saved = repository.save_tree(Path(root), tags={}, time=AS_OF, timeout=MINUTES)
        listed: list[Listed] = []
        repository.list_files(saved.snapshot, listed.append, timeout=MINUTES)

        assert {path_in_tree(root, each) for each in listed} == {as_listed(path) for path in made}
        wanted = as_listed(data.draw(st.sampled_from(sorted(made))))
        typed = wanted.rpartition("/")[2].swapcase()
        if typed.strip() == typed:
            assert name_pattern(typed)(wanted)
        single = SingleFiles(root, (wanted,))
        single.look(repository, saved.snapshot)
        folder = repository.restore(
            saved.snapshot,
            claim_new_directory(bench.folder / "target"),
            "x",
            paths=single.paths,
            hidden_below=root,
            timeout=MINUTES,
        )
        back = locate(folder, root, "documents")
        single.keep_only_these(back)

        assert _read(back) == {path: made[path] for path in made if as_listed(path) == wanted}
        told = " ".join(word for each in launcher.commands for word in each.argv)
        assert _CANARY not in told
        launcher.close()


def _make(folder: Path, tree: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Write a tree, as far as no name stands for a file and a folder; return what it holds."""
    folder.mkdir()
    made: dict[bytes, bytes] = {}
    for path, content in sorted(tree.items()):
        file = folder / os.fsdecode(path)
        above = [b"/".join(path.split(b"/")[:end]) for end in range(1, path.count(b"/") + 1)]
        if not made.keys() & set(above) and not file.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            made[path] = content
    return made


def _read(folder: Path) -> dict[bytes, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {os.fsencode(each.relative_to(folder)): each.read_bytes() for each in files}
