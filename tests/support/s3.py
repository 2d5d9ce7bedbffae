"""S3 on loopback: moto's server in a thread of ours, and profiles that open it.

The server takes any key, and lets whoever has one do anything, until `enforcing` makes it hold its
own IAM users to their policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.aws import AwsAccess, aws_client

PROFILE = "riverside"
BUCKET = "msp-status"
REGION = "us-east-1"
_RIGHTS_MOTO_MIXES_UP = (
    ("BUCKET", "HEAD", "DEFAULT", "ListBucket"),
    ("BUCKET", "GET", "object-lock", "GetBucketObjectLockConfiguration"),
    ("BUCKET", "GET", "publicAccessBlock", "GetBucketPublicAccessBlock"),
    ("BUCKET", "GET", "encryption", "GetEncryptionConfiguration"),
    ("BUCKET", "PUT", "object-lock", "PutBucketObjectLockConfiguration"),
    ("BUCKET", "PUT", "publicAccessBlock", "PutBucketPublicAccessBlock"),
    ("BUCKET", "PUT", "encryption", "PutEncryptionConfiguration"),
    ("BUCKET", "DELETE", "publicAccessBlock", "PutBucketPublicAccessBlock"),
    ("BUCKET", "DELETE", "encryption", "PutEncryptionConfiguration"),
    ("KEY", "GET", "retention", "GetObjectRetention"),
    ("KEY", "PUT", "retention", "PutObjectRetention"),
    ("KEY", "PUT", "legal-hold", "PutObjectLegalHold"),
)
"""What is asked for, how, and the right it takes by AWS's Service Authorization Reference; moto
takes each for another one (5.2.5: any change of a bucket for CreateBucket)."""


@dataclass(frozen=True)
class S3:
    """A server of S3, IAM and more."""

    endpoint: str
    credentials: Path
    """The file of the profiles."""

    def client(self, service: str = "s3", profile: str = PROFILE) -> Any:
        """Return a client of one of its services, with the keys of a profile."""
        return aws_client(
            service, AwsAccess(profile=profile, endpoint=self.endpoint, region=REGION)
        )

    def location(self, bucket: str, prefix: str = "") -> str:
        """Return restic's location of a repository in a bucket."""
        return f"s3:{self.endpoint}/{bucket}/{prefix}".rstrip("/")

    def make_bucket(self, bucket: str, *, lock: bool = False, days: int = 30) -> None:
        """Make a bucket; with `lock` one whose objects nobody removes for so many days."""
        client = self.client()
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=lock)
        if lock:
            retention = {"Mode": "COMPLIANCE", "Days": days}
            client.put_object_lock_configuration(
                Bucket=bucket,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": retention},
                },
            )

    def add_profile(self, profile: str, key_id: str, key: str) -> None:
        """Let `aws_profile: PROFILE` stand for a key."""
        with self.credentials.open("a") as file:
            file.write(
                f"[{profile}]\naws_access_key_id = {key_id}\naws_secret_access_key = {key}\n"
                f"region = {REGION}\n"
            )

    def add_user(self, profile: str, policy: str) -> None:
        """Make an IAM user that may do what `policy` (JSON) says, and a profile of its key."""
        iam = self.client("iam")
        iam.create_user(UserName=profile)
        iam.put_user_policy(UserName=profile, PolicyName=profile, PolicyDocument=policy)
        key = iam.create_access_key(UserName=profile)["AccessKey"]
        self.add_profile(profile, key["AccessKeyId"], key["SecretAccessKey"])

    @contextmanager
    def enforcing(self) -> Iterator[None]:
        """Hold everybody to the policy of his IAM user for a block; made-up keys open nothing."""
        from moto.core.authorization import ActionAuthenticatorMixin
        from moto.s3.responses import ACTION_MAP

        before = ActionAuthenticatorMixin.request_count
        patched = pytest.MonkeyPatch()
        patched.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
        for kind, method, asked, action in _RIGHTS_MOTO_MIXES_UP:
            patched.setitem(ACTION_MAP[kind][method], asked, action)
        try:
            yield
        finally:
            patched.undo()
            ActionAuthenticatorMixin.request_count = before

    def empty(self) -> None:
        """Remove all objects of the status bucket."""
        client = self.client()
        for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """Run a server for a block. moto takes any key, so that of the profile is made up."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        _let_copies_be_made(patch)
        server.start()
        try:
            host, port = server.get_host_and_port()
            s3 = S3(f"http://{host}:{port}", folder / "credentials")
            s3.add_profile(PROFILE, "made-up", "made-up")
            # moto's memory is the process's, and would outlive each server
            with closing(HTTPConnection(host, port)) as connection:
                connection.request("POST", "/moto-api/reset")
                connection.getresponse().read()
            s3.client().create_bucket(Bucket=BUCKET)
            yield s3
        finally:
            server.stop()


def _let_copies_be_made(patch: pytest.MonkeyPatch) -> None:
    """Take copies onto locked objects without a checksum of their empty request, as Amazon does."""
    from moto.s3.responses import S3Response
    from werkzeug.datastructures import Headers

    put = S3Response._key_response_put

    def put_or_copy(self: Any, query: dict[str, Any], key_name: str) -> Any:
        if "x-amz-copy-source" in self.headers:
            self.headers = Headers(self.headers)
            self.headers["Content-Md5"] = "1B2M2Y8AsgTpAmY7PhCfg=="
        return put(self, query, key_name)

    patch.setattr(S3Response, "_key_response_put", put_or_copy)
