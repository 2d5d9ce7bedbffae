"""A pack as the rest of the program reads it: validated, frozen.

The kinds of facts are few and know no EMR; what they ask is in the pack's SQL. What a query answers
is a number, a boolean or a time, or rows that are only counted, compared and hashed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.plan.expectation import Expectation
from dr_orchestrator.plan.quantity import Size
from dr_orchestrator.plan.section import Identifier, Section

DigestName = Literal["sha1", "sha256", "sha384", "sha512", "sha3_256", "sha3_512"]
"""As `hashlib` names them."""
Sentence = Annotated[str, Field(min_length=1)]
"""What a person reads where a fact does not hold; `{count}` stands for the number found."""


class Role(Section):
    """What the pack calls an asset of the system."""

    kinds: tuple[AssetKind, ...] = Field(min_length=1, description="kinds of asset that can be it")
    about: str = Field(min_length=1, description="what it is, for who writes the plan")
    within: tuple[str, ...] = Field(
        default=(),
        description="folders beneath the asset, of which the first that exists is meant: a plan "
        "may protect the folder itself, or one above it",
    )


class Question(Section):
    """A query, and the role that is asked."""

    asset: Identifier = Field(description="the role that is asked")
    sql: str = Field(min_length=1)


class EmrVersion(Question):
    """How the EMR's version is found out: one row, of numbers, or of text as `24.1.20`."""

    tried: tuple[Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")], ...] = Field(
        min_length=1, description="versions the pack was tried on; `7.0` stands for `7.0.2` too"
    )


class Seal(Section):
    """How the EMR seals a file: a prefix, then in base64 a MAC and all that the MAC is of.

    The MAC can be checked without decrypting anything, and only with the key it was made with.
    """

    keys: Question = Field(description="one row a key: its name, and the key in base64")
    by: dict[str, str] = Field(
        min_length=1, description="what a sealed file begins with -> name of the key of its MAC"
    )
    hash: DigestName = Field(description="of the MAC, an HMAC")


class SqlFact(Section):
    """One value, and what it must be."""

    title: str = Field(min_length=1)
    asset: Identifier = Field(description="the role that is asked")
    sql: str = Field(min_length=1, description="one row, one column: a number, boolean or time")
    expect: Expectation
    otherwise: Sentence
    only_if: str | None = Field(
        default=None,
        min_length=1,
        description="query whose answer must be above 0 for the fact to be asked for: not every "
        "version has every table; not with `expect: baseline`",
    )


class ListedFiles(Section):
    """Files that rows name."""

    asset: Identifier = Field(description="the role whose files they are")
    listed_by: Question = Field(
        description="one row a file: path beneath the role's folder, and if the EMR knows them "
        "hash (hex), size (bytes), and 1 where the file is sealed; in an order that makes the "
        "first ones a fair sample"
    )
    are: str = Field(min_length=1, description="what they are, in the plural, for sentences")
    hashes: tuple[DigestName, ...] = Field(
        default=("sha256",), description="told apart by their length"
    )
    read_at_most: Size = Field(
        default=20 << 30,
        description="once so much was read, of the rest only presence and size are looked at",
    )
    ignore_case: bool = Field(
        default=False, description="whether names differ from rows in case only, as on Windows"
    )


class FilesFact(Section):
    """Each file that a row names is there, and is what the EMR stored."""

    title: str = Field(min_length=1)
    files: ListedFiles


class HashedRows(Question):
    """One row each: the hash that the EMR stored (hex), and the text that it is of."""

    hashes: tuple[DigestName, ...] = Field(min_length=1, description="told apart by length")


class HashedFact(Section):
    """Rows are what the EMR's own checksum of them says."""

    title: str = Field(min_length=1)
    hashed: HashedRows
    otherwise: Sentence


class SealedFolder(Section):
    """The half of a split key that lies in files, sealed by the half in the database."""

    asset: Identifier = Field(description="the role whose files they are")
    folder: str = Field(min_length=1, description="beneath the role's folder")
    needed_by: Question = Field(
        description="one row a name: the files without which values in the database stay closed"
    )


class SealedFact(Section):
    """The two halves of a split key are both there, and of one generation."""

    title: str = Field(min_length=1)
    sealed: SealedFolder


_FACTS: dict[str, type[Section]] = {
    "files": FilesFact,
    "hashed": HashedFact,
    "sealed": SealedFact,
}


def _fact_kind(value: Any) -> str:
    for key, model in _FACTS.items():
        if isinstance(value, model) or (isinstance(value, dict) and key in value):
            return key
    return "sql"


Fact = Annotated[
    Annotated[SqlFact, Tag("sql")]
    | Annotated[FilesFact, Tag("files")]
    | Annotated[HashedFact, Tag("hashed")]
    | Annotated[SealedFact, Tag("sealed")],
    Discriminator(_fact_kind),
]


class Reference(Question):
    """Something that the EMR refers to, and that an asset of the plan should cover."""

    answers: Literal["count", "folders", "databases"] = Field(
        description="one number that should be 0, or one row a folder, or one row a database name"
    )
    what: str = Field(min_length=1, description="what they are, in the plural")
    look: str = Field(min_length=1, description="where a person looks for them")


class Pack(Section):
    """All that is known about one EMR."""

    version: Literal[1] = Field(description="of the pack format")
    name: Identifier = Field(description="the file's name without `.yaml`")
    title: str = Field(min_length=1, description="the EMR's name")
    tried_on: str = Field(min_length=1, description="what the pack was really tried on, in words")
    roles: dict[Identifier, Role] = Field(min_length=1)
    known_by: tuple[str, ...] = Field(
        default=(), description="tables that its database has, all of them: `dro init` looks"
    )
    emr_version: EmrVersion | None = None
    newest: Question | None = Field(
        default=None, description="one time: the newest row, for systems whose plan states none"
    )
    seal: Seal | None = None
    checks: tuple[Fact, ...] = Field(min_length=1)
    coverage: tuple[Reference, ...] = ()
