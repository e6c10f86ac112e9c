"""Two machines, as far as the kernel is concerned: the fake in one network namespace, its clients in another.

Needs Linux, root and the leave to make namespaces; elsewhere it is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fake_server.test_cli import COMMAND, GOOD

HOST = "fake.test"
TOKEN = "token-of-a-test"
# Private addresses (RFC 1918), of a net that hardly anyone uses.
SERVER, CLIENT = "10.213.77.1", "10.213.77.2"
ETC = Path("/etc/netns")
WHERE = "/api/v1/services/aigc/video-generation/video-synthesis"
CREATE = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}


def ip(*arguments: str) -> None:
    """Change the machine's network."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)  # noqa: S603,S607 - as root does


@dataclass(frozen=True)
class Namespaces:
    """Two namespaces with a cable between them, in which one name leads to the first."""

    server: str
    client: str

    def inside(self, name: str, *command: str) -> list[str]:
        """A command that runs in one of them."""
        return ["ip", "netns", "exec", name, *command]

    def by_client(self, *command: str, **environment: str) -> str:
        """What a client's command says on stdout; it must succeed."""
        ran = subprocess.run(  # noqa: S603 - our own commands
            self.inside(self.client, *command),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


def _make(names: Namespaces) -> None:
    for name in (names.server, names.client):
        ip("netns", "add", name)
        (ETC / name).mkdir(parents=True)
        (ETC / name / "hosts").write_text(f"127.0.0.1 localhost\n{SERVER} {HOST}\n")
        ip("-n", name, "link", "set", "lo", "up")
    cable = (f"s{names.server[-6:]}", f"c{names.server[-6:]}")
    ip("link", "add", cable[0], "netns", names.server, "type", "veth", "peer", "name", cable[1], "netns", names.client)
    for name, device, address in ((names.server, cable[0], SERVER), (names.client, cable[1], CLIENT)):
        ip("-n", name, "address", "add", f"{address}/30", "dev", device)
        ip("-n", name, "link", "set", device, "up")
    subprocess.run(names.inside(names.client, "true"), check=True, capture_output=True, timeout=30)  # noqa: S603 - as above


def _remove(names: Namespaces) -> None:
    for name in (names.server, names.client):
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True, timeout=30)  # noqa: S603,S607 - as above
        shutil.rmtree(ETC / name, ignore_errors=True)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Namespaces]:
    """Two namespaces, or the reason why there are none."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need Linux, root and iproute2")
    names = Namespaces(f"fakes{os.getpid():06d}"[-11:], f"fakec{os.getpid():06d}"[-11:])
    try:
        try:
            _make(names)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"this machine lets nobody make network namespaces: {error}")
        yield names
    finally:
        _remove(names)


@contextmanager
def serving(names: Namespaces, *arguments: str) -> Iterator[dict[str, Any]]:
    """A fake in the first namespace, and the line in which it says where it is."""
    command = names.inside(names.server, *COMMAND, "serve", "--allow-remote", *arguments)
    environment = {**os.environ, "FAKE_DASHSCOPE_ADMIN_TOKEN": TOKEN}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_create_poll_and_download_from_another_machine(namespaces: Namespaces, tls: bool, tmp_path: Path) -> None:
    """Under its host name, and with TLS too, our command in another network namespace creates, polls and downloads; so
    does curl; URLs in answers bear that name; the admin pages want their token there."""
    (tmp_path / "at-once.yaml").write_text(GOOD)
    # With TLS the certificate must know the name, so the server listens under it.
    listens = ("--tls", "--host", HOST) if tls else ("--host", "0.0.0.0")  # noqa: S104 - with a token
    with serving(namespaces, "--scenarios", str(tmp_path), *listens) as line:
        base = f"{'https' if tls else 'http'}://{HOST}:{line['url'].rpartition(':')[2]}"
        trust = {"SSL_CERT_FILE": line["ca_file"]} if tls else {}
        clip = tmp_path / "clip.mp4"
        namespaces.by_client(
            *(sys.executable, "-m", "resilient_poll.cli", "run", "--model", "m", "--prompt", "a cat"),
            *("--interval", "0.5", "--no-ledger", "--output", str(clip)),
            **{"DASHSCOPE_BASE_URL": f"{base}/api/v1", "DASHSCOPE_API_KEY": "sk-at-once.cli", **trust},
        )
        assert clip.stat().st_size > 1_000

        if shutil.which("curl") is None:
            return
        curl = ("curl", "--silent", "--show-error", "--fail", "--noproxy", "*")
        curl += ("--cacert", line["ca_file"]) if tls else ()
        key = ("--header", "Authorization: Bearer sk-at-once.curl")
        made = json.loads(
            namespaces.by_client(
                *(*curl, *key, "--header", "X-DashScope-Async: enable", "--header", "Content-Type: application/json"),
                *("--data", json.dumps(CREATE), base + WHERE),
            )
        )
        asked = namespaces.by_client(*curl, *key, f"{base}/api/v1/tasks/{made['output']['task_id']}")
        url = json.loads(asked)["output"]["video_url"]
        assert url.startswith(f"{base}/w/at-once.curl/")
        namespaces.by_client(*curl, "--output", str(tmp_path / "by-curl.mp4"), url)
        assert (tmp_path / "by-curl.mp4").stat().st_size == clip.stat().st_size

        shut = namespaces.by_client(*(*curl[:2], *curl[4:]), "--write-out", "%{http_code}", f"{base}/__admin/health")
        assert shut.endswith("401")
        opened = namespaces.by_client(*curl, "--header", f"X-Fake-Admin-Token: {TOKEN}", f"{base}/__admin/health")
        assert json.loads(opened)["status"] == "ok"
