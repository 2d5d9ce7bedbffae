"""Keys, secrets and messages of AWS: moto's server, with restic and rclone beside it."""

from __future__ import annotations

import configparser
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.aws import aws_client
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.notifications import look_at_own_listener
from dr_orchestrator.errors import NotDelivered, RepositoryError, SecretUnavailable
from dr_orchestrator.notify.channel import channels_of_machine
from dr_orchestrator.notify.deliver import Post, deliver
from dr_orchestrator.notify.message import Message
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.settings import load_settings
from tests.support.launcher import ScriptedLauncher
from tests.support.quick_repository import put_quick_repository
from tests.support.rclone import rest_server
from tests.support.restic import PASSWORD
from tests.support.s3 import PROFILE, REGION, S3, s3_server
from tests.support.tools import require_tool

CANARY = "canary-7f3a"
AT = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
LONG = timedelta(minutes=1)
MESSAGE = Message(
    id="4k7q2z-opened-1",
    subject="Riverside Family Practice: Küche: failed" + "!" * 99,
    text="The backup failed.\n",
    facts={},
)
_STORAGE_ONLY = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    require_tool("restic")
    with (
        s3_server(tmp_path_factory.mktemp("s3")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for service in ("SECRETS_MANAGER", "SNS", "SES"):
            patch.setenv(f"AWS_ENDPOINT_URL_{service}", server.endpoint)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        aws_client.cache_clear()
        repository = tmp_path_factory.mktemp("template") / "repository"
        put_quick_repository(repository, PASSWORD)
        policy = {"Version": "2012-10-17", "Statement": [_STORAGE_ONLY]}
        server.add_user("saves", json.dumps(policy))
        for bucket in ("first", "second"):
            server.make_bucket(bucket)
            for file in repository.rglob("*"):
                if file.is_file():
                    key = f"dr/{file.relative_to(repository)}"
                    server.client().upload_file(str(file), bucket, key)
        yield server


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    settings = tmp_path / "dro.yaml"
    settings.write_text(f"plans: {tmp_path}/plans\nstate: {tmp_path}/s\ncache: {tmp_path}/c\n")
    monkeypatch.setenv("DRO_SETTINGS", str(settings))
    monkeypatch.setenv("REPOSITORY_KEY", PASSWORD)
    monkeypatch.setenv("ID", "made-up")
    monkeypatch.setenv("KEY", "made-up")
    with contextlib.closing(App(load_settings(), SystemClock())) as app:
        yield app


KEYS = "credentials: {access_key_id: {env: ID}, secret_access_key: {env: KEY}}"


def plan(**repositories: str) -> Plan:
    """Return a plan of these repositories: location and more keys of each."""
    lines = [
        f'  {name}: {{password: {{env: REPOSITORY_KEY}}, location: "{stated}}}'
        for name, stated in repositories.items()
    ]
    text = f"""\
version: 1
practice: {{id: riverside, name: Riverside}}
repositories:
{chr(10).join(lines)}
systems:
  emr: {{rto: 4h, rpo: 1h, assets: {{files: {{kind: files, path: /srv/emr}}}}}}
"""
    return read_plan(text.encode(), "riverside.yaml").plan


def keys_of(s3: S3, profile: str) -> tuple[str, str]:
    file = configparser.ConfigParser()
    file.read(s3.credentials)
    section = file[profile]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "letter.txt").write_text("hello")
    return folder


def save_and_check(app: App, made: Plan, source: Path) -> str:
    repository = app.repositories.open_for_writing(made, "offsite")
    saved = repository.save_tree(source, tags={"dro": "x"}, time=AT, timeout=LONG)
    repository.check(1, 1, timeout=LONG)
    assert repository.read_file(saved.snapshot, f"{source}/letter.txt", limit_bytes=9) == b"hello"
    return saved.snapshot


@pytest.mark.parametrize("how", ["reference", "environment", "profile"])
def test_restic_is_let_in_with_keys_however_they_are_found(
    s3: S3, app: App, source: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    key_id, key = keys_of(s3, "saves")
    stated = {"reference": KEYS, "profile": "credentials: {aws_profile: saves}"}.get(how)
    names = ("ID", "KEY") if how == "reference" else ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if how != "profile":
        monkeypatch.setenv(names[0], key_id)
        monkeypatch.setenv(names[1], key)
    location = s3.location("first", "dr")
    made = plan(offsite=f'{location}", {stated}' if stated else f'{location}"')

    with s3.enforcing():
        save_and_check(app, made, source)
        held = app.repositories.place(made, "offsite").client.list_objects_v2(
            Bucket="first", Prefix="dr/locks/"
        )

    assert held["KeyCount"] == 0


def test_restic_is_not_let_in_with_keys_that_are_not_right(s3: S3, app: App) -> None:
    made = plan(offsite=f'{s3.location("first", "dr")}", {KEYS}')

    with s3.enforcing(), pytest.raises(RepositoryError) as caught:
        app.repositories.open_for_reading(made, "offsite")

    assert "made-up" not in str(caught.value)


@pytest.fixture
def saver(app: App, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the references of the plans lead to keys that open the buckets."""
    for name, value in zip(("ID", "KEY"), keys_of(s3, "saves"), strict=True):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("saver")
@pytest.mark.parametrize("buckets", [("second", "first"), ("", "first"), ("first", "")])
def test_restic_copies_with_the_keys_of_whichever_side_is_in_s3(
    s3: S3, app: App, source: Path, buckets: tuple[str, str]
) -> None:
    folder = source.parent / "local"
    put_quick_repository(folder, PASSWORD)
    onsite, offsite = (
        f'{s3.location(bucket, "dr")}", {KEYS}' if bucket else f'{folder}"' for bucket in buckets
    )
    made = plan(onsite=onsite, offsite=offsite)

    with s3.enforcing():
        # all quick repositories have one id, which two of a practice may not
        first, second = (app.repositories.at(made, name) for name in ("onsite", "offsite"))
        saved = first.save_tree(source, tags={"dro": "copied"}, time=AT, timeout=LONG)
        second.copy_from(first, [saved.snapshot], timeout=LONG)
        originals = {each.original for each in second.snapshots({"dro": "copied"})}

    assert saved.snapshot in originals


@pytest.mark.parametrize(("password", "opens"), [("p@ss/wörd:%", True), ("another", False)])
def test_rest_server_is_told_who_we_are(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, opens: bool
) -> None:
    put_quick_repository(tmp_path / "served" / "riverside", PASSWORD)
    monkeypatch.setenv("LOGIN", password)

    with rest_server(tmp_path / "served", "--user", "dr", "--pass", "p@ss/wörd:%") as location:
        login = "credentials: {user: dr, password: {env: LOGIN}}"
        made = plan(offsite=f'{location}", {login}')
        if opens:
            assert app.repositories.open_for_reading(made, "offsite").identity()
            return
        with pytest.raises(RepositoryError) as caught:
            app.repositories.open_for_reading(made, "offsite")

    assert "another" not in str(caught.value)


# --- secrets ------------------------------------------------------------------------------------


def reader() -> SecretReader:
    return SecretReader(ScriptedLauncher(), lambda _name: None)


def reference(**stated: str) -> SecretReference:
    return SecretReference.model_validate({"aws_profile": PROFILE, "region": REGION, **stated})


@pytest.fixture(scope="module")
def vault(s3: S3) -> S3:
    client = s3.client("secretsmanager")
    pair = json.dumps({"password": CANARY, "port": 5432})
    client.create_secret(Name="riverside/plain", SecretString=f"{CANARY}\n")
    client.create_secret(Name="riverside/pair", SecretString=pair)
    client.create_secret(Name="riverside/file", SecretBinary=f"{CANARY}\r\n".encode())
    client.create_secret(Name="riverside/noise", SecretBinary=b"\xff\xfe")
    client.create_secret(Name="riverside/gone", SecretString=CANARY)
    client.delete_secret(SecretId="riverside/gone")
    return s3


@pytest.mark.parametrize(
    "stated",
    [
        {"aws_secret": "riverside/plain"},
        {"aws_secret": "riverside/file"},
        {"aws_secret": "riverside/pair", "key": "password"},
    ],
)
def test_aws_secret_is_read(vault: S3, stated: dict[str, str]) -> None:
    assert reader().read(reference(**stated)).reveal() == CANARY


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"aws_secret": "riverside/none"}, "there is none of this name in this region"),
        ({"aws_secret": "riverside/gone"}, "it is about to be deleted"),
        ({"aws_secret": "riverside/noise"}, "it is not UTF-8 text"),
        ({"aws_secret": "riverside/plain", "key": "a"}, "it is no JSON object"),
        ({"aws_secret": "riverside/pair", "key": "user"}, "it has no text under the key user"),
        ({"aws_secret": "riverside/pair", "key": "port"}, "it has no text under the key port"),
        ({"aws_secret": "riverside/plain", "aws_profile": "nobody"}, "ProfileNotFound"),
        ({"aws_secret": "riverside/none", "obtain": "MSP vault"}, "obtained from: MSP vault"),
    ],
)
def test_aws_secret_that_cannot_be_had_is_an_error_of_ours(
    vault: S3, stated: dict[str, str], words: str
) -> None:
    with pytest.raises(SecretUnavailable, match="AWS secret riverside/") as caught:
        reader().read(reference(**stated))

    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_aws_secret_that_a_user_may_not_read_is_an_error_of_ours(vault: S3) -> None:
    asked = reference(aws_secret="riverside/plain", aws_profile="saves")
    with vault.enforcing(), pytest.raises(SecretUnavailable, match="cannot be used: 403"):
        reader().read(asked)  # Amazon itself answers AccessDeniedException


def test_aws_secret_without_a_region_is_an_error_of_ours(vault: S3) -> None:
    with vault.credentials.open("a") as file:
        file.write("[nowhere]\naws_access_key_id = a\naws_secret_access_key = b\n")
    asked = SecretReference(aws_secret="riverside/plain", aws_profile="nowhere")
    with pytest.raises(SecretUnavailable, match="name the `region`"):
        reader().read(asked)


# --- telling people -----------------------------------------------------------------------------


def send(message: Message, **stated: Any) -> None:
    (channel,) = channels_of_machine([Notification.model_validate(stated)])
    deliver(message, channel, Post(mail=None, read_secret=reader().read), AT)


def ses(**stated: str) -> dict[str, str]:
    addresses = {"to": "ops@msp.example", "from": "dro@msp.example"}
    return {**addresses, "region": REGION, "aws_profile": PROFILE, **stated}


@pytest.fixture(scope="module")
def topic(s3: S3) -> str:
    arn: str = s3.client("sns").create_topic(Name="dro")["TopicArn"]
    return arn


@pytest.fixture(scope="module")
def post_office(s3: S3) -> S3:
    s3.client("ses").verify_domain_identity(Domain="msp.example")
    return s3


def test_sns_topic_is_told(topic: str) -> None:
    from moto.sns.models import sns_backends

    send(MESSAGE, sns={"topic": topic, "aws_profile": PROFILE})

    account = topic.split(":")[4]
    ((_, body, subject, *_rest),) = sns_backends[account][REGION].topics[topic].sent_notifications
    assert json.loads(body) == {"default": MESSAGE.text, "sms": MESSAGE.subject}
    assert subject == "Riverside Family Practice: K?che: failed!".ljust(99, "!")


def test_ses_sends_an_email(post_office: S3) -> None:
    from email import message_from_string

    from moto.ses.models import ses_backends

    send(MESSAGE, ses=ses())

    (backend,) = (regions[REGION] for regions in ses_backends.values() if REGION in regions)
    (sent,) = backend.sent_messages
    mail = message_from_string(sent.raw_data)
    assert (sent.source, set(sent.destinations)) == ("dro@msp.example", {"ops@msp.example"})
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == "<4k7q2z-opened-1@msp.example>"
    assert mail.get_payload(decode=True) == MESSAGE.text.encode()


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"sns": {"topic": "arn:aws:sns:us-east-1:123456789012:none"}}, "SNS cannot be used: "),
        ({"ses": {"from": "dro@elsewhere.example"}}, "SES cannot be used: MessageRejected"),
        ({"ses": {"aws_profile": "nobody"}}, "SES cannot be used: ProfileNotFound"),
    ],
)
def test_amazon_that_takes_no_message_is_an_error_of_ours(
    post_office: S3, stated: dict[str, dict[str, str]], words: str
) -> None:
    ((way, keys),) = stated.items()
    keys = ses(**keys) if way == "ses" else {**keys, "aws_profile": PROFILE}
    with pytest.raises(NotDelivered, match=words) as caught:
        send(MESSAGE, **{way: keys})
    assert "Riverside" not in str(caught.value)


def test_doctor_complains_of_what_amazon_would_not_send(
    post_office: S3, topic: str, app: App
) -> None:
    tools = app._doctor_tools()

    def complaints(**stated: Any) -> list[tuple[Kind, str]]:
        entry = Notification.model_validate(stated)
        found = look_at_own_listener(tools, entry, UTC)
        return [(each.kind, each.what) for each in found]

    assert complaints(sns={"topic": topic, "aws_profile": PROFILE}) == []
    assert complaints(ses=ses()) == []
    ((kind, what),) = complaints(sns={"topic": f"{topic}x", "aws_profile": PROFILE})
    assert (kind, what) == (Kind.NOT_TOLD, "SNS cannot be used: NotFound")
    ((kind, what),) = complaints(ses=ses(**{"from": "dro@elsewhere.example"}))
    assert (kind, what.startswith("SES does not know dro@elsewhere")) == (Kind.NOT_TOLD, True)
    with post_office.enforcing():  # who may tell need not be one who may look
        assert complaints(sns={"topic": topic, "aws_profile": "saves"}) == []
