"""S3 on loopback: moto's server in a thread of ours, and a profile that opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.aws import s3_client

PROFILE = "riverside"
BUCKET = "msp-status"


@dataclass(frozen=True)
class S3:
    """A server that holds one bucket."""

    endpoint: str

    def client(self) -> Any:
        """Return a client of it."""
        return s3_client(PROFILE, self.endpoint)

    def empty(self) -> None:
        """Remove all objects of the bucket."""
        client = self.client()
        for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """Run a server for a block. moto takes any key, so that of the profile is made up."""
    from moto.server import ThreadedMotoServer

    credentials = folder / "credentials"
    credentials.write_text(
        f"[{PROFILE}]\naws_access_key_id = made-up\naws_secret_access_key = made-up\n"
    )
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        patch.setenv("NO_PROXY", "127.0.0.1")
        server.start()
        try:
            host, port = server.get_host_and_port()
            s3 = S3(f"http://{host}:{port}")
            s3.client().create_bucket(Bucket=BUCKET)
            yield s3
        finally:
            server.stop()
