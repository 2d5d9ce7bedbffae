"""A few rows and files under the names of OpenMRS and of Open Dental; all our own."""

from __future__ import annotations

from pathlib import Path

OPENMRS = """
create table patient (
    patient_id int primary key, voided tinyint not null default 0) engine=InnoDB;
create table encounter (
    encounter_id int primary key, patient_id int, encounter_datetime datetime,
    date_created datetime, voided tinyint not null default 0) engine=InnoDB;
create table obs (
    obs_id int primary key auto_increment, encounter_id int, value_complex varchar(1000),
    voided tinyint not null default 0) engine=InnoDB;
create table users (
    user_id int primary key, username varchar(50), retired tinyint not null default 0)
    engine=InnoDB;
create table liquibasechangelog (id varchar(255), dateexecuted datetime) engine=InnoDB;
insert into patient (patient_id) select seq from seq_1_to_50;
insert into encounter (encounter_id, patient_id, encounter_datetime, date_created)
    select seq, 1 + seq % 50, '2026-11-20 08:00:00', '2026-11-20 09:00:00' from seq_1_to_200;
insert into obs (encounter_id, value_complex)
    select seq, if(seq % 20, null, concat('jpg image |image_', seq, '.jpg')) from seq_1_to_200;
insert into users (user_id, username) values (1, 'admin');
insert into liquibasechangelog select concat('change-', seq), now() from seq_1_to_30;
"""
OPENDENTAL = """
create table preference (PrefName varchar(255), ValueString text) engine=MyISAM;
create table patient (PatNum bigint primary key, ImageFolder varchar(255)) engine=MyISAM;
create table appointment (AptNum bigint primary key, PatNum bigint, AptDateTime datetime)
    engine=MyISAM;
create table procedurelog (ProcNum bigint primary key, PatNum bigint, DateTStamp timestamp)
    engine=MyISAM;
create table document (DocNum bigint primary key, PatNum bigint, FileName varchar(255))
    engine=MyISAM;
create table securitylog (SecurityLogNum bigint primary key, LogDateTime datetime) engine=MyISAM;
insert into preference values ('DataBaseVersion', '24.1.20.0');
insert into patient select seq, concat('Patient', seq) from seq_1_to_50;
insert into appointment select seq, 1 + seq % 50, '2026-11-20 08:00:00' from seq_1_to_80;
insert into procedurelog select seq, 1 + seq % 50, '2026-11-20 08:00:00' from seq_1_to_80;
insert into document select seq, seq, concat('Scan', seq, '.JPG') from seq_1_to_10;
insert into securitylog select seq, '2026-11-20 08:00:00' from seq_1_to_40;
"""


def make_openmrs_files(folder: Path) -> None:
    """Write the attachments that `OPENMRS` refers to; `folder` is the application data folder."""
    (folder / "complex_obs").mkdir(parents=True)
    for number in range(20, 201, 20):
        (folder / "complex_obs" / f"image_{number}.jpg").write_bytes(b"image")


def make_opendental_files(folder: Path) -> None:
    """Write the images that `OPENDENTAL` refers to, in another case, as Windows does not care."""
    for number in range(1, 11):
        images = folder / "OpenDentImages" / "p" / f"patient{number}"
        images.mkdir(parents=True)
        (images / f"scan{number}.jpg").write_bytes(b"image")
