from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dr_orchestrator.plan.document import (
    LARGEST_FILE,
    Unusable,
    plain_data,
    read_document,
    read_file,
    writable_by_others,
)


def _problems(text: str | bytes) -> list[tuple[int, int, str]]:
    content = text if isinstance(text, bytes) else text.encode()
    return [(each.line, each.column, each.message) for each in read_document(content, "p").problems]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1", {"a": 1}),
        ("a: -1.5", {"a": -1.5}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: true\nb: False", {"a": True, "b": False}),
        ("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        ("a: 2026-11-21", {"a": "2026-11-21"}),
        ("a: 'yes'\nb: \"010\"\nc: '03:30'", {"a": "yes", "b": "010", "c": "03:30"}),
        ("on: [x]\nyes: 1\n1: 2", {"on": ["x"], "yes": 1, "1": 2}),
        ("a: 10.0.0.5\nb: 1.2.3\nc: 5%", {"a": "10.0.0.5", "b": "1.2.3", "c": "5%"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("- 1\n- [a, {b: c}]", [1, ["a", {"b": "c"}]]),
        ("a: Größe …", {"a": "Größe …"}),
        ("%YAML 1.1\n---\na: b\n...\n", {"a": "b"}),
    ],
)
def test_document_is_read_as_yaml_1_2_reads_it(text: str, data: object) -> None:
    document = read_document(text.encode(), "p")

    assert document.problems == []
    assert plain_data(document.root) == data


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the file is empty"),
        ("# only a comment\n", 1, 1, "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the same key again"),
        ("a: {b: 1, b: 2}", 1, 11, "the same key again"),
        ("a: &x 1", 1, 4, "an anchor"),
        ("&x a: 1", 1, 1, "an anchor"),
        ("a: *x", 1, 4, "an alias"),
        ("a: 1\n<<: *x", 2, 1, "a merge key"),
        ("a: !!python/object:os.system x", 1, 4, "a tag"),
        ("a: !x {b: 1}", 1, 4, "a tag"),
        ("? [a]\n: 1", 1, 3, "a key that is no word"),
        ("{[a]: 1}", 1, 2, "a key that is no word"),
        ("a: yes", 1, 4, "an unquoted word that YAML 1.1 reads as true or false"),
        ("a: [No]", 1, 5, "an unquoted word that YAML 1.1 reads as true or false"),
        ("a: off", 1, 4, "an unquoted word that YAML 1.1 reads as true or false"),
        ("a: 03:30", 1, 4, "an unquoted time, which YAML 1.1 reads as a number to the base of 60"),
        ("a: 1:30", 1, 4, "an unquoted time, which YAML 1.1 reads as a number to the base of 60"),
        ("a: 0123", 1, 4, "an unquoted number that YAML 1.1 reads as another one"),
        ("a: 0x1F", 1, 4, "an unquoted number that YAML 1.1 reads as another one"),
        ("a: 1_000", 1, 4, "an unquoted number that YAML 1.1 reads as another one"),
        ("a: .nan", 1, 4, "a number that is none"),
        ("a: -.inf", 1, 4, "a number that is none"),
        ("a: 1e999", 1, 4, "a number that is too large"),
        ("a: " + "9" * 5000, 1, 4, "a number with too many digits"),
        ('a: "\\0"', 1, 4, "a control character, which no text has"),
        ("a: 1\nb: x\x07y", 2, 5, "a control character, which no text has"),
        ("a:\n\tb: 1", 2, 1, "a tab"),
        ("a: 1\n---\nb: 1", 2, 1, "a second document begins here"),
        ("[" * 100_000, 1, 33, "is nested more than 32 deep"),
        ("- " * 100_000, 1, 65, "is nested more than 32 deep"),
        ("a: {b: 1", 1, 9, "not valid YAML: did not find expected ',' or '}'"),
        ("a: 'x", 1, 6, "not valid YAML: found unexpected end of stream"),
        ("a: b: c", 1, 5, "not valid YAML: mapping values are not allowed in this context"),
        (b"\xef\xbb\xbfa: 1", 1, 1, "begins with a byte order mark"),
        ("a: 1".encode("utf-16"), 1, 1, "is UTF-16, not UTF-8"),
        (b"a: 1\nb: M\xfcller", 2, 5, "is not UTF-8 from here on"),
        (b"a: " + b"x" * LARGEST_FILE, 1, 1, "is larger than 1 MiB"),
    ],
)
def test_what_people_trip_over_is_reported_where_it_stands(
    text: str | bytes, line: int, column: int, message: str
) -> None:
    assert _problems(text) == [(line, column, message)]


def test_a_bomb_of_aliases_is_not_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]

    document = read_document("\n".join(lines).encode(), "p")

    assert sum(each.message == "an alias" for each in document.problems) == 9 * 29


def test_all_mistakes_are_found_at_once() -> None:
    assert len(_problems("a: yes\nb: 010\nc: &x 1\nd: 1:30\na: 2\n")) == 5


def test_field_paths_lead_to_the_mistake() -> None:
    document = read_document(b'systems: {emr: {verify: [{}, {"a\\nb": yes}]}}', "p")

    assert [each.path for each in document.problems] == [r"systems.emr.verify[1].a\nb"]


def test_no_mistake_repeats_a_value() -> None:
    for text in ("p: 0123456789", "p: 12:34:56", "p: *hunter2", "p: !hunter2 x", "p: {hunter2"):
        for each in read_document(text.encode(), "p").problems:
            assert "hunter2" not in each.text()
            assert "123" not in each.text()
            assert "12:34" not in each.text()


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
@example(b"\xc2\x85\t: {")
@example("a: \u2028\tb".encode())
def test_reading_never_raises(content: bytes) -> None:
    document = read_document(content, "p")

    assert isinstance(document.root, Unusable) <= bool(document.problems)


@given(st.text(alphabet="ab:-[]{},&*!|>'\"%@`# \n\t?<1.0~", max_size=60))
def test_reading_never_raises_on_what_looks_like_yaml(text: str) -> None:
    lines = len(text.splitlines()) + 2
    for each in read_document(text.encode(), "p").problems:
        assert 1 <= each.line <= lines
        assert each.column >= 1


def test_read_file_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    loop, pipe = tmp_path / "loop", tmp_path / "pipe"
    loop.symlink_to(loop)
    os.mkfifo(pipe)

    assert read_file(tmp_path)[1] == "is a folder, not a file"
    assert read_file(loop)[1] == "cannot be read: too many levels of symbolic links"
    assert read_file(pipe)[1] == "is not a regular file"
    assert read_file(tmp_path / "none")[1] == "cannot be read: no such file or directory"
    assert read_file(Path("/dev/zero"))[1] == "is not a regular file"
    assert read_file(Path("a\0b"))[1] == "cannot be read: its name is none"


def test_read_file_reads_no_more_than_it_must(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)

    content, trouble = read_file(huge)

    assert (len(content), trouble) == (LARGEST_FILE + 1, "")


@pytest.mark.parametrize(
    ("mode", "folder_mode", "safe"),
    [
        (0o600, 0o700, True),
        (0o644, 0o755, True),
        (0o664, 0o755, False),
        (0o646, 0o755, False),
        (0o644, 0o775, False),
        (0o644, 0o1777, True),
    ],
)
def test_writable_by_others_looks_at_file_and_folder(
    tmp_path: Path, mode: int, folder_mode: int, safe: bool
) -> None:
    file = tmp_path / "plan.yaml"
    file.touch()
    file.chmod(mode)
    tmp_path.chmod(folder_mode)

    assert (writable_by_others(file) == "") is safe
