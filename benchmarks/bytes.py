"""How fast finished videos come to the disk, beside ``curl | sha256sum`` of the same links.

``python -m benchmarks.bytes --files 8 --megabytes 50 200`` serves a real MP4 of each size from a
process of its own (``sendfile``), and fetches it that many times at once: with the `Downloader`
(hashed, probed by FFmpeg, synced to the disk, renamed), and with curl. Everything is measured in a
process of its own, by turns, ``--rounds`` times; the table shows medians.

S3 is a stand-in in a process of its own that only takes the bytes (`benchmarks.fast_s3`), so what
is measured is the client. How much of that is the library that speaks to S3 is told by s3fs alone,
which sends the same bytes from a file on the disk, without a download, a hash or a look into them.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import socketserver
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import av
import fsspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from upath import UPath
from upath.registry import register_implementation

from akool_dagster.downloads import Downloader
from akool_dagster.storage import open_storage
from akool_dagster_tests.s3_place import new_bucket
from benchmarks.deployment import machine
from benchmarks.fast_s3 import fast_s3
from benchmarks.plots import Bar, draw_bars
from benchmarks.termination import end_on_sigterm

LEAST_SHARE = 0.8
"""Of the speed of ``curl | sha256sum``."""

MOST_GROWTH_MEGABYTES = 20.0
"""By which the memory for the largest files may exceed that for the smallest."""

_MEGABYTE = 1_000_000
_RATE = 25
_SIDE = 320
_PICTURES = 25
_CURL = {
    "the server alone: `curl -o /dev/null`": "curl -sf {url} -o /dev/null",
    "`curl \\| sha256sum`": "curl -sf {url} | sha256sum > {file}.sum",
    "`curl \\| tee file \\| sha256sum; sync file`": (
        "curl -sf {url} | tee {file} | sha256sum > {file}.sum; sync {file}"
    ),
}
_RIVAL = "`curl \\| sha256sum`"
_OURS = "akool-dagster: hash, probe, fsync, rename"
_NO_DISK = "the same, its data root in memory (`/dev/shm`)"
_TO_STORE = "akool-dagster to a remote root (a folder in its place): hash, probe, send"
_STORE = "standin"
_TO_S3 = "akool-dagster to S3: hash, send, probe, copy; no local file"
_PUT_S3 = "s3fs alone to the same S3, from a file on the disk: send"
_S3 = (_PUT_S3, _TO_S3)
_JUDGED = (_OURS, _TO_S3)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What some downloads at once needed.

    Attributes:
        wall_seconds: From the first request to the last file.
        cpu_seconds: Of the downloading processes.
        peak_megabytes: Of the process; None for those of curl.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float | None = None


def write_video(path: Path, *, size_bytes: int) -> None:
    """Writes an MP4 with pictures of noise, about as dense as a finished avatar video.

    A second of them is encoded, and its packets come again and again.

    Args:
        path: The new file.
        size_bytes: Its least size.
    """
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=_RATE)
        stream.width, stream.height, stream.bit_rate = _SIDE, _SIDE, 200_000_000
        stream.codec_context.gop_size = 1
        packets = []
        for _ in range(_PICTURES):
            noise = random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24"))
        contents = [bytes(packet) for packet in [*packets, *stream.encode(None)]]
        written = 0
        while written < size_bytes:
            for content in contents:
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, stream.codec_context.time_base
                packet.pts = packet.dts = written // len(contents[0])
                packet.is_keyframe = True
                container.mux(packet)
                written += len(content)


class _Handler(socketserver.StreamRequestHandler):
    """Answers every request with the file, by sendfile."""

    path: Path

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        size = self.path.stat().st_size
        self.wfile.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {size}\r\n"
            f'ETag: "{size}"\r\nConnection: close\r\n\r\n'.encode()
        )
        with self.path.open("rb") as file:
            self.request.sendfile(file)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def _serve(path: Path, pipe: Connection) -> None:
    handler = type("Handler", (_Handler,), {"path": path})
    with _Server(("127.0.0.1", 0), handler) as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


@contextlib.contextmanager
def served(path: Path) -> Iterator[str]:
    """Serves a file from a process of its own.

    Args:
        path: The file.

    Yields:
        Its link.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(path, theirs))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/video.mp4"
    finally:
        process.terminate()
        process.join(10)


def fetch(url: str, root: str, *, files: int) -> Cost:
    """Downloads one link some times at once, in this process.

    Args:
        url: The link.
        root: The data root.
        files: How often.

    Returns:
        The cost.
    """
    if root.startswith(_STORE):
        _pretend_store()
    storage = open_storage(root)
    storage.exists("videos/none.mp4")  # loads the store's library, as a process does once
    with Downloader(pool_size=files) as downloader, ThreadPoolExecutor(files) as threads:

        def one(number: int) -> int:
            target = storage.root / f"videos/bench/{number}.mp4"
            return downloader.fetch(url, target, storage=storage, expect="video").size_bytes

        wall, cpu = time.monotonic(), time.process_time()
        sizes = set(threads.map(one, range(files)))
        cost = Cost(
            wall_seconds=time.monotonic() - wall,
            cpu_seconds=time.process_time() - cpu,
            peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    if len(sizes) != 1:
        raise RuntimeError(f"one link gave files of {sizes} bytes")
    return cost


def put(file: str, root: str, *, files: int) -> Cost:
    """Sends one file some times at once to S3, with s3fs alone, in this process.

    Args:
        file: The file on the disk.
        root: The bucket's address.
        files: How often.

    Returns:
        The cost.
    """
    store = UPath(root)
    (store / "none.mp4").exists()  # as in `fetch`
    with ThreadPoolExecutor(files) as threads:

        def one(number: int) -> None:
            store.fs.put_file(file, f"{store.path}/{number}.mp4")

        wall, cpu = time.monotonic(), time.process_time()
        list(threads.map(one, range(files)))
        return Cost(
            wall_seconds=time.monotonic() - wall,
            cpu_seconds=time.process_time() - cpu,
            peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )


def _pretend_store() -> None:
    """Makes a folder pass for a remote file system, as far as `storage` can see."""

    class Store(LocalFileSystem):
        protocol = _STORE

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.removeprefix(f"{_STORE}://"))

    fsspec.register_implementation(_STORE, Store)
    register_implementation(_STORE, UPath)


def _ours(
    task: str, source: str, root: str, *, files: int, environment: dict[str, str] | None = None
) -> Cost:
    command = [sys.executable, "-m", "benchmarks.bytes", task, source, "--root", root]
    command += ["--files", str(files)]
    environment = {**os.environ, **(environment or {})}
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    return Cost(**json.loads(answer))


def _to_s3(what: str, url: str, video: Path, *, files: int) -> Cost:
    task, source = ("--put", str(video)) if what == _PUT_S3 else ("--fetch", url)
    with fast_s3() as server:
        bucket = new_bucket(server)
        root = f"s3://{bucket.name}/akool"
        return _ours(task, source, root, files=files, environment=bucket.environment)


def _shell(command: str, url: str, folder: Path, *, files: int) -> Cost:
    lines = [command.format(url=url, file=folder / f"{n}.mp4") for n in range(files)]
    before, wall = os.times(), time.monotonic()
    started = [subprocess.Popen(["bash", "-o", "pipefail", "-c", line]) for line in lines]
    codes = [process.wait() for process in started]
    wall, after = time.monotonic() - wall, os.times()
    if any(codes):
        raise RuntimeError(f"{command} ended with {codes}")
    user, system = after[2] - before[2], after[3] - before[3]
    return Cost(wall_seconds=wall, cpu_seconds=user + system)


def _measure(what: str, url: str, video: Path, *, files: int) -> Cost:
    if what in _S3:
        return _to_s3(what, url, video, files=files)
    where = "/dev/shm" if what == _NO_DISK else None
    with tempfile.TemporaryDirectory(prefix="akool-bytes-", dir=where) as folder:
        if what in (_OURS, _NO_DISK):
            return _ours("--fetch", url, folder, files=files)
        if what == _TO_STORE:
            return _ours("--fetch", url, f"{_STORE}://{folder}", files=files)
        return _shell(_CURL[what], url, Path(folder), files=files)


def _size(megabytes: int, *, files: int, rounds: int) -> dict[str, Cost]:
    """Measures everything at one size, and prints its lines of the table."""
    no_disk = [_NO_DISK] if Path("/dev/shm").is_dir() else []
    whats = (*_CURL, _OURS, *no_disk, _TO_STORE, *_S3)
    found: dict[str, list[Cost]] = {what: [] for what in whats}
    with tempfile.TemporaryDirectory(prefix="akool-bytes-") as folder:
        video = Path(folder) / "video.mp4"
        write_video(video, size_bytes=megabytes * _MEGABYTE)
        size = video.stat().st_size
        with served(video) as url:
            for _ in range(rounds):
                for what, costs in found.items():
                    costs.append(_measure(what, url, video, files=files))
    middle = {
        what: sorted(costs, key=lambda cost: cost.wall_seconds)[len(costs) // 2]
        for what, costs in found.items()
    }
    rival = middle[_RIVAL]
    for what, cost in middle.items():
        share = rival.wall_seconds / cost.wall_seconds
        told = f"{share:.0%}"
        if what in _JUDGED:
            told = f"{told if share >= LEAST_SHARE else f'**{told}**'} (≥ {LEAST_SHARE:.0%})"
        memory = f"{cost.peak_megabytes:.0f} MB" if cost.peak_megabytes else ""
        print(
            f"| {files} x {size / _MEGABYTE:.0f} MB | {what} | {cost.wall_seconds:.2f} | "
            f"{files * size / _MEGABYTE / cost.wall_seconds:,.0f} | {told} | "
            f"{cost.cpu_seconds:.2f} | {memory} |",
            flush=True,
        )
    return middle


def _bars(costs: Mapping[str, Cost], *, megabytes: float) -> list[Bar]:
    least = LEAST_SHARE * megabytes / costs[_RIVAL].wall_seconds
    return [
        Bar(
            what=what,
            value=megabytes / cost.wall_seconds,
            is_ours=what not in (*_CURL, _PUT_S3),
            target=least if what in _JUDGED else None,
        )
        for what, cost in costs.items()
    ]


def main() -> None:
    """Measures and prints a Markdown table; **bold** is a target that was missed."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8, help="at once")
    parser.add_argument("--megabytes", type=int, nargs="*", default=[50, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="draw the speeds (.png)")
    parser.add_argument("--fetch", help=argparse.SUPPRESS)
    parser.add_argument("--put", help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.fetch or chosen.put:
        work, source = (fetch, chosen.fetch) if chosen.fetch else (put, chosen.put)
        print(json.dumps(asdict(work(source, chosen.root, files=chosen.files))))
        return
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, medians of {chosen.rounds}\n")
    print("| downloads at once | what | wall s | MB/s | speed / curl's | CPU s | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    peaks: dict[str, list[float]] = {_OURS: [], _TO_S3: []}
    panels = []
    for megabytes in chosen.megabytes:
        costs = _size(megabytes, files=chosen.files, rounds=chosen.rounds)
        total = chosen.files * megabytes
        panels.append((f"{chosen.files} x {megabytes} MB, MB/s", _bars(costs, megabytes=total)))
        for what, found in peaks.items():
            found.append(costs[what].peak_megabytes or 0.0)
    print()
    for what, found in peaks.items():
        growth = max(found) - min(found)
        verdict = "" if growth <= MOST_GROWTH_MEGABYTES else " **(missed)**"
        print(
            f"Memory grows by {growth:.0f} MB from the smallest to the largest files (at most "
            f"{MOST_GROWTH_MEGABYTES:g}){verdict}: {what}."
        )
    print(f"Load at the end: {os.getloadavg()[0]:.1f}.")
    if chosen.plot:
        draw_bars(panels, chosen.plot)


if __name__ == "__main__":
    main()
