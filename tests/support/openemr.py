"""A made-up practice that works with OpenEMR: its tables, its documents and its split key.

Our own code; only the names of tables, columns and folders are OpenEMR's (version 7.0), and of its
columns only those that checks, or a person who reads the data, would look at. Nothing is really
encrypted: what is sealed is random, under a MAC as OpenEMR makes it, with the key in the database.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

OLD_PLACE = "file:///var/www/localhost/htdocs/openemr/sites/default/documents"
"""Where the documents lay on the server that the rows speak of."""
_BEGAN = datetime(2026, 11, 2, 8)  # noqa: DTZ001 - OpenEMR stores local times without a zone
_SCHEMA = """
create table version (
    v_major int not null, v_minor int not null, v_patch int not null, v_realpatch int not null,
    v_tag varchar(31) not null, v_database int not null, v_acl int not null) engine=InnoDB;
create table globals (
    gl_name varchar(63) not null, gl_index int not null default 0, gl_value varchar(255) not null,
    primary key (gl_name, gl_index)) engine=InnoDB;
create table users (
    id bigint primary key auto_increment, username varchar(255), active tinyint not null default 1,
    fname varchar(255), lname varchar(255)) engine=InnoDB;
create table patient_data (
    id bigint not null auto_increment, pid bigint not null, fname varchar(255), lname varchar(255),
    DOB date, date datetime, primary key (pid), unique key (id)) engine=InnoDB;
create table form_encounter (
    id bigint primary key auto_increment, date datetime, reason longtext, pid bigint,
    encounter bigint, key (pid)) engine=InnoDB;
create table documents (
    id int primary key, type enum('file_url', 'blob', 'web_url'), size int, date datetime,
    url varchar(255), mimetype varchar(255), foreign_id bigint, hash varchar(255),
    storagemethod tinyint not null default 0, path_depth tinyint default 1,
    couch_docid varchar(100), encrypted tinyint not null default 0,
    deleted tinyint not null default 0, key (foreign_id)) engine=InnoDB;
create table log (
    id bigint primary key auto_increment, date datetime, event varchar(255), category varchar(255),
    user varchar(255), groupname varchar(255), comments longtext, user_notes longtext,
    patient_id bigint, success tinyint default 1, checksum longtext, crt_user varchar(255),
    log_from varchar(20) default 'open-emr', menu_item_id int, ccda_doc_id int) engine=InnoDB;
create table log_comment_encrypt (
    id int primary key auto_increment, log_id int not null,
    encrypt enum('Yes', 'No') not null default 'No', checksum longtext,
    checksum_api longtext, version tinyint not null default 0, key (log_id)) engine=InnoDB;
create table log_validator (
    log_id bigint primary key, log_checksum longtext) engine=InnoDB;
create table `keys` (
    id bigint primary key auto_increment, name varchar(20) not null, value text,
    unique key (name)) engine=InnoDB;
create table pnotes (id bigint primary key auto_increment, body longtext, pid bigint) engine=MyISAM;
"""
_PROGRAMS = """
delimiter //
create procedure getAllEncounters(in patient bigint)
begin
    select encounter from form_encounter where pid = patient;
end//
create function patientAge(born date) returns int deterministic
    return timestampdiff(year, born, date '2026-11-21')//
create procedure busiestYear(out found int)
begin
    select extract(year from f.date) into found from form_encounter f join openemr.patient_data p
    on p.pid = f.pid order by f.date limit 1;
end//
create trigger form_encounter_reason before insert on form_encounter for each row
    set new.reason = coalesce(new.reason, '')//
delimiter ;
"""


@dataclass(frozen=True)
class Clinic:
    """What was made: the SQL of the database, and the folder of documents."""

    script: str
    """For the `mariadb` client."""
    documents: Path
    """The site's folder `documents`."""
    plain: tuple[Path, ...]
    encrypted: tuple[Path, ...]

    @property
    def methods(self) -> Path:
        """The folder of the key halves."""
        return self.documents / "logs_and_misc" / "methods"


@dataclass
class _Maker:
    documents: Path
    random: random.Random
    keys: dict[str, bytes] = field(default_factory=dict)
    plain: list[Path] = field(default_factory=list)
    encrypted: list[Path] = field(default_factory=list)

    def sealed(self, content: bytes) -> bytes:
        """Return what OpenEMR would store instead of `content`, as to size and MAC."""
        hidden = self.random.randbytes(16 + (len(content) // 16 + 1) * 16)
        mac = hmac.digest(self.keys["sixb"], hidden, "sha384")
        return b"006" + b64encode(mac + hidden)

    def key_halves(self) -> Iterator[str]:
        for half in "ab":
            self.keys[f"six{half}"] = self.random.randbytes(32)
            value = b64encode(self.keys[f"six{half}"]).decode()
            yield f"insert into `keys` (name, value) values ('six{half}', '{value}');"
        methods = self.documents / "logs_and_misc" / "methods"
        methods.mkdir(parents=True)
        for half in "ab":
            (methods / f"six{half}").write_bytes(self.sealed(self.random.randbytes(32)))
        (methods / "one").write_bytes(b64encode(self.random.randbytes(32)))
        secret = self.sealed(b"a password").decode()
        yield f"insert into globals (gl_name, gl_value) values ('SMTP_PASS', '{secret}');"

    def document(self, number: int, pid: int) -> str:
        """Write one document, and return its row. Some are encrypted, some are from SHA-1 days."""
        content = f"%PDF scan {number} ".encode() * self.random.randint(20, 60)
        deep = number % 10 == 7
        below = f"direct/{pid}" if deep else f"{pid}"
        file = self.documents / below / f"scan_{number}.pdf"
        file.parent.mkdir(parents=True, exist_ok=True)
        encrypted = number % 4 == 0
        file.write_bytes(self.sealed(content) if encrypted else content)
        (self.encrypted if encrypted else self.plain).append(file)
        algorithm = "sha1" if number % 5 == 1 else "sha3_512"
        digest = hashlib.new(algorithm, content).hexdigest()
        return _insert(
            "documents",
            id=number,
            type="file_url",
            size=len(content),
            date=_BEGAN,
            url=f"{OLD_PLACE}/{below}/{file.name}",
            foreign_id=pid,
            hash=digest,
            path_depth=2 if deep else 1,
            encrypted=int(encrypted),
        )

    def log_entry(self, number: int, patients: int) -> Iterator[str]:
        entry = {
            "date": _BEGAN + timedelta(minutes=7 * number),
            "event": "patient-record-insert",
            "category": "Patient Demographics" if number % 3 else None,
            "user": "drmüller",
            "groupname": "Default",
            "comments": b64encode(f"insert into form_encounter {number}".encode()).decode(),
            "user_notes": "",
            "patient_id": number % patients + 1 if number % 2 else None,
            "success": 1,
            "crt_user": "",
            "log_from": "open-emr",
            "menu_item_id": None,
            "ccda_doc_id": None,
        }
        text = "".join("" if value is None else str(value) for value in entry.values())
        digest = hashlib.sha3_512(text.encode()).hexdigest()
        yield _insert("log", id=number, **entry)
        yield _insert("log_comment_encrypt", log_id=number, checksum=digest, version=4)


def make_openemr(
    documents: Path,
    *,
    patients: int = 300,
    visits: int = 700,
    entries: int = 400,
    files: int = 40,
    version: tuple[int, int, int] = (7, 0, 2),
) -> Clinic:
    """Make up a practice: write its documents to `documents` (not there yet), and its database as
    SQL. The same arguments give the same practice.
    """
    maker = _Maker(documents, random.Random(20261121))
    documents.mkdir(parents=True)
    major, minor, patch = version
    rows = [
        _insert(
            "version",
            v_major=major,
            v_minor=minor,
            v_patch=patch,
            v_realpatch=0,
            v_tag="",
            v_database=500,
            v_acl=11,
        ),
        *maker.key_halves(),
        *_people(patients, visits),
        *(maker.document(number, number % patients + 1) for number in range(1, files + 1)),
        *(row for number in range(1, entries + 1) for row in maker.log_entry(number, patients)),
        *_old_log(entries),
    ]
    script = "\n".join([_SCHEMA, "begin;", *rows, "commit;", _PROGRAMS])
    return Clinic(script, documents, tuple(maker.plain), tuple(maker.encrypted))


def _people(patients: int, visits: int) -> Iterator[str]:
    for name in ("admin", "drmüller", "frontdesk"):
        yield _insert("users", username=name, fname=name, lname="of the practice")
    for pid in range(1, patients + 1):
        yield _insert("patient_data", pid=pid, fname="Patient", lname=f"No. {pid}", date=_BEGAN)
    for visit in range(1, visits + 1):
        yield _insert(
            "form_encounter",
            date=_BEGAN + timedelta(minutes=11 * visit),
            reason="check-up" if visit % 2 else None,
            pid=visit % patients + 1,
            encounter=visit,
        )
    for pid in range(1, 20):
        yield _insert("pnotes", body="call back", pid=pid)


def _old_log(entries: int) -> Iterator[str]:
    """Yield entries as versions before 6.0 wrote them, each with a copy of its checksum."""
    for number in range(entries + 1, entries + 11):
        digest = hashlib.sha1(str(number).encode()).hexdigest()  # noqa: S324 - as OpenEMR had it
        yield _insert("log", id=number, date=_BEGAN - timedelta(days=900), checksum=digest)
        yield _insert("log_comment_encrypt", log_id=number, checksum="", version=0)
        yield _insert("log_validator", log_id=number, log_checksum=digest)


def _insert(table: str, **columns: object) -> str:
    values = ", ".join(_literal(value) for value in columns.values())
    return f"insert into {table} ({', '.join(columns)}) values ({values});"


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def newest_entry(entries: int = 400) -> datetime:
    """Return the time of the newest entry of the audit log."""
    return _BEGAN + timedelta(minutes=7 * entries)
