"""An S3 server on loopback, in a process of its own, and a view on it that is not ours."""

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import boto3
from botocore.config import Config

from akool_dagster_tests.processes import served_apart

SECRET_KEY = "S3-S3CR3T-KEY"
ACCESS_KEY = "AKIAS3ACCESSKEY"
REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket of the server.

    Attributes:
        name: Its name.
        client: boto3's own client, which shares nothing with the file system under test.
        environment: What a user sets to reach it.
    """

    name: str
    client: Any
    environment: dict[str, str]

    @property
    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(entry["Key"] for entry in found)

    @property
    def uploads(self) -> list[str]:
        """The keys of the uploads that were begun and not completed."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return sorted(entry["Key"] for entry in found)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def end_uploads(self) -> None:
        for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []):
            self.client.abort_multipart_upload(
                Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    def begin_upload(self, key: str) -> None:
        """As a process does that is killed before it completes it."""
        begun = self.client.create_multipart_upload(Bucket=self.name, Key=key)
        self.client.upload_part(
            Bucket=self.name, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x"
        )


@contextmanager
def s3_server() -> Iterator[str]:
    """Starts the server and yields its address."""
    with served_apart(_serve) as address:
        yield address


def _serve(pipe: Connection) -> None:
    import logging

    from moto.server import ThreadedMotoServer

    _correct_the_age_of_uploads()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    pipe.send(server.get_host_and_port()[1])
    pipe.poll(None)


def _correct_the_age_of_uploads() -> None:
    """Moto says of every open upload that it was begun in 2010; they are all of today."""
    import moto.s3.responses

    responses: Any = moto.s3.responses
    original, today = responses.ActionResult, dt.datetime.now(dt.timezone.utc).isoformat()

    def corrected(result: Any) -> Any:
        for upload in result.get("Uploads", []) if isinstance(result, dict) else []:
            upload["Initiated"] = today
        return original(result)

    responses.ActionResult = corrected


def new_bucket(url: str) -> Bucket:
    """Makes an empty bucket on the server at ``url``."""
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(proxies={}),
    )
    name = f"films-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=name)
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return Bucket(name=name, client=client, environment=environment)
