"""How the fake is reached: over TLS, beyond this machine with a token, and as long as its parent lives."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.reach import certificates
from fake_server.reach.certificates import NoCertificateError, throw_away_certificate
from fake_server.reach.names import LOOPBACK_NAMES, WILDCARDS, is_loopback, own_names, public_host
from fake_server.server import Serving
from tests.fake_server.driving import UNTIMED
from tests.fake_server.test_cli import COMMAND, GOOD, Process, run
from tests.fake_server.test_server import raw_create_bytes

WHERE = "/api/v1/services/aigc/video-generation/video-synthesis"
CREATE: dict[str, Any] = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}
TOKEN = "token-of-a-test"

hosts = st.sampled_from([*WILDCARDS, *LOOPBACK_NAMES, "127.3.2.1", "10.0.0.7", "Fake.Test", "fe80::1"])
urls = st.none() | st.builds("https://{}:8443/x".format, st.sampled_from(["fake.example", "localhost", "[::1]"]))


@pytest.fixture(scope="module")
def over_tls() -> Any:
    """A fake that speaks TLS, and a client that trusts it."""
    process = Process("--tls", "--clock", "manual", "--public-url", "https://fake.example:8443")
    context = ssl.create_default_context(cafile=process.line["ca_file"])
    with httpx.Client(base_url=process.line["url"], verify=context, trust_env=False) as client:
        yield process, client
    code, errors = process.stop(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in errors
    assert not Path(process.line["ca_file"]).parent.exists()


def test_tls_has_an_authority_of_its_own(over_tls: Any) -> None:
    """With --tls the line names an https address and the PEM of an authority that everyone may read, in a folder that
    only its owner may look into; no key is in any file; stderr says whom to trust."""
    process, client = over_tls
    assert process.line["url"].startswith("https://127.0.0.1:")
    assert process.line["admin_url"] == f"{process.line['url']}/__admin"
    file = Path(process.line["ca_file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [other.name for other in file.parent.iterdir()] == [file.name]
    assert "PRIVATE" not in file.read_text()
    assert client.get("/__admin/health").json()["status"] == "ok"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_life_over_tls(over_tls: Any, name: str) -> None:
    """Create, poll and admin pages work over TLS under every name of the certificate."""
    process, client = over_tls
    base = process.line["url"].replace("127.0.0.1", name)
    headers = {"Authorization": f"Bearer sk-succeeds.{name.replace('.', '-')}", "X-DashScope-Async": "enable"}
    answer = client.post(base + WHERE, json=CREATE, headers=headers).raise_for_status().json()
    status = client.get(f"{base}/api/v1/tasks/{answer['output']['task_id']}", headers=headers).json()
    assert status["output"]["task_status"] == "PENDING"


def test_the_certificate_is_for_its_names_and_not_for_ever(over_tls: Any) -> None:
    """The certificate names the loopback, the host and the public URL's, and ends within the 825 days of Apple's."""
    line = over_tls[0].line
    where = ("127.0.0.1", int(line["url"].rpartition(":")[2]))
    context = ssl.create_default_context(cafile=line["ca_file"])
    with (
        socket.create_connection(where, timeout=20) as connection,
        context.wrap_socket(connection, server_hostname="fake.example") as secured,
    ):
        shown: Any = secured.getpeercert()
    names = {value for _, value in shown["subjectAltName"]}
    assert names == {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1", "fake.example"}
    assert 0 < ssl.cert_time_to_seconds(shown["notAfter"]) - time.time() < 825 * 86_400


def test_nobody_else_trusts_it(over_tls: Any) -> None:
    """A client that was not given the authority refuses the server."""
    with (
        pytest.raises(httpx.ConnectError, match=r"(?i)certificate"),
        httpx.Client(verify=ssl.create_default_context(), trust_env=False) as client,
    ):
        client.get(over_tls[0].line["url"])


def test_plain_http_at_a_tls_port_is_no_trouble(over_tls: Any) -> None:
    """Who speaks plain HTTP to the TLS port gets no answer, and the server lives on without a traceback."""
    process, client = over_tls
    with pytest.raises(httpx.TransportError):
        httpx.get(process.line["url"].replace("https", "http"), trust_env=False, verify=False)
    assert client.get("/__admin/health").status_code == 200


def sent_over_tls(line: dict[str, Any], connection: socket.socket, key: str) -> ssl.SSLSocket:
    """A connection over TLS on which a create was sent."""
    context = ssl.create_default_context(cafile=line["ca_file"])
    secured = context.wrap_socket(connection, server_hostname="localhost")
    secured.sendall(raw_create_bytes(key))
    return secured


def read_to_the_end(connection: socket.socket) -> None:
    """Read whatever comes until the connection ends."""
    while connection.recv(65_536):
        pass


def test_a_cut_over_tls_is_a_reset_or_an_end(over_tls: Any) -> None:
    """Over TLS a dropped answer is an orderly end, and a lost one a reset: that is read below Python's own ssl, which
    up to 3.11 tells both as an end."""
    line = over_tls[0].line
    where = ("127.0.0.1", int(line["url"].rpartition(":")[2]))
    with (
        socket.create_connection(where, timeout=20) as connection,
        sent_over_tls(line, connection, "sk-create-dropped.tls") as secured,
    ):
        assert secured.recv(1) == b""
    with (
        socket.create_connection(where, timeout=20) as connection,
        sent_over_tls(line, connection, "sk-create-answer-lost.tls") as secured,
        socket.socket(fileno=os.dup(secured.fileno())) as beneath,
    ):
        beneath.settimeout(20)
        with pytest.raises(ConnectionResetError):
            read_to_the_end(beneath)


def test_our_command_and_curl_over_tls(tmp_path: Path) -> None:
    """With SSL_CERT_FILE our command makes a video over TLS and downloads it from an https URL; curl does with the
    same file."""
    (tmp_path / "at-once.yaml").write_text(GOOD)
    process = Process("--tls", "--scenarios", str(tmp_path))
    environment = {
        **os.environ,
        "SSL_CERT_FILE": process.line["ca_file"],
        "DASHSCOPE_BASE_URL": f"{process.line['url']}/api/v1",
        "DASHSCOPE_API_KEY": "sk-at-once.tls",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    try:
        ran = subprocess.run(  # noqa: S603 - our own command
            [
                sys.executable,
                "-m",
                "resilient_poll.cli",
                "run",
                "--model",
                "wan2.5-t2v-preview",
                "--prompt",
                "a cat",
                "--interval",
                "0.5",
                "--output",
                str(tmp_path / "clip.mp4"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert (tmp_path / "clip.mp4").stat().st_size > 1_000
        curl = shutil.which("curl")
        if curl is not None:
            got = subprocess.run(  # noqa: S603 - curl
                [
                    curl,
                    "--silent",
                    "--fail",
                    "--noproxy",
                    "*",
                    "--cacert",
                    process.line["ca_file"],
                    f"{process.line['admin_url']}/worlds/at-once.tls/bill",
                ],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert json.loads(got.stdout)["billed_tasks"] == 1
    finally:
        process.stop(signal.SIGTERM)


def test_a_certificate_needs_its_extra_and_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trustme, and for a name that can stand in no certificate, there is a sentence instead of one."""
    with pytest.raises(NoCertificateError, match="no certificate can be made"), throw_away_certificate(["a" * 300]):
        pass
    monkeypatch.setattr(certificates.importlib.util, "find_spec", lambda _: None)
    with (
        pytest.raises(NoCertificateError, match=r"pip install 'resilient-poll\[fake,tls\]'"),
        throw_away_certificate([]),
    ):
        pass


def test_beyond_this_machine_the_admin_pages_want_the_token() -> None:
    """Listening on every address needs a token, which may come from the environment; the admin pages want it from
    everyone, the service from nobody; it is never told."""
    popen = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "serve", "--host", "0.0.0.0", "--allow-remote", "--clock", "manual"],  # noqa: S104 - with a token
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_DASHSCOPE_ADMIN_TOKEN": TOKEN},
    )
    assert popen.stdout is not None
    first = popen.stdout.readline()
    line = json.loads(first)
    with httpx.Client(base_url=line["url"], trust_env=False) as client:
        assert client.get("/__admin/health").status_code == 401
        assert client.get("/__admin/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        asked = {"Authorization": "Bearer sk-succeeds.remote", "X-DashScope-Async": "enable"}
        assert client.post(WHERE, json=CREATE, headers=asked).status_code == 200
    popen.send_signal(signal.SIGTERM)
    _, errors = popen.communicate(timeout=10)
    assert TOKEN not in first + errors
    assert TOKEN not in repr(Serving("0.0.0.0", admin_token=TOKEN))  # noqa: S104 - a value
    assert "warning: listening on 0.0.0.0" in errors


CHAOS = """
version: 1
summary: Every other query is a bad gateway, by chance.
faults:
  - {fault: status, status: 502, on: query, probability: 0.5, name: bad-gateway}
"""


def met(line: dict[str, Any]) -> list[int]:
    """The statuses that queries of one world meet, fewer than its rate allows."""
    headers = {"Authorization": "Bearer sk-succeeds.chance"}
    with httpx.Client(base_url=line["url"], headers=headers, verify=False, trust_env=False) as client:
        return [client.get("/api/v1/tasks/nobody").status_code for _ in range(18)]


def test_a_seed_is_told_first_and_replays(tmp_path: Path) -> None:
    """With --chaos a seed is drawn, told first on stderr with the command that replays it, and in the JSON line; that
    command's server answers the same requests with the same faults, and one of another seed does not."""
    file = tmp_path / "half bad.yaml"
    file.write_text(CHAOS)
    drawn = Process("--chaos", str(file), "--clock", "manual")
    seed, first = drawn.line["seed"], met(drawn.line)
    _, errors = drawn.stop(signal.SIGTERM)
    told, again = errors.splitlines()[0].split("; the same again: fake-dashscope serve ")
    assert told == f"seed {seed}"
    assert set(first) == {200, 502}
    for arguments, is_same in ((shlex.split(again), True), (["--chaos", str(file), "--seed", f"{seed + 1}"], False)):
        process = Process(*arguments)
        assert (met(process.line) == first) == is_same
        process.stop(signal.SIGTERM)


def test_broken_chaos_is_told_with_its_place(tmp_path: Path) -> None:
    """A chaos file that is broken or absent, and a seed that is none, end the command with 2 and say where."""
    file = tmp_path / "chaos.yaml"
    file.write_text("version: 1\nsummary: x\nfaults: [{fault: explode}]\n")
    for arguments, sentence in (
        (("--chaos", str(file)), f"{file}:3:"),
        (("--chaos", str(tmp_path / "absent")), "found no readable file"),
        (("--seed", "-1"), "Invalid value for '--seed'"),
    ):
        code, out, errors = run("serve", *arguments)
        assert (code, out) == (2, "")
        assert sentence in errors


@pytest.mark.parametrize("level", ["light", "heavy"])
def test_levels_of_chaos_are_there(level: str) -> None:
    """The two levels that come with the fake serve, with a seed that was given."""
    process = Process("--chaos", level, "--seed", "7", "--speed", "60")
    assert process.line["seed"] == 7
    _, errors = process.stop(signal.SIGTERM)
    assert errors.startswith(
        f"seed 7; the same again: fake-dashscope serve succeeds --speed 60 --chaos {level} --seed 7\n"
    )


STARTER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], "serve", "--exit-with-parent"])
time.sleep(3600)  # real: it is killed
"""
BY_HANDLE = "from fake_server.__main__ import main; main()"
BY_LOOKING = f"import os; vars(os).pop('pidfd_open', None); {BY_HANDLE}"


@pytest.mark.parametrize("run", [BY_HANDLE, BY_LOOKING], ids=["by a handle", "by looking"])
def test_the_server_ends_with_its_parent(run: str) -> None:
    """With --exit-with-parent a server whose parent was killed ends by itself: its end of our pipe closes."""
    with subprocess.Popen([sys.executable, "-c", STARTER, run], stdout=subprocess.PIPE, text=True) as starter:  # noqa: S603 - our own interpreter
        assert starter.stdout is not None
        line = json.loads(starter.stdout.readline())
        assert httpx.get(f"{line['admin_url']}/health", trust_env=False, verify=False).status_code == 200
        starter.kill()
        assert starter.stdout.read() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{line['admin_url']}/health", trust_env=False, verify=False)


def test_an_orphan_does_not_start() -> None:
    """A server whose parent is gone before it began says so, and exits with 2."""
    code = f"import fake_server.reach.parent as p; p.PARENT_PID = 1; {BY_HANDLE}"
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, "serve", "--exit-with-parent"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "the process that started this one is gone already" in ran.stderr


@UNTIMED
@given(host=hosts, url=urls)
def test_own_names_are_names(host: str, url: str | None) -> None:
    """The names of a server are small letters, without wildcards and repetitions; those of the loopback are known
    without being said."""
    names = own_names(host, url)
    assert len(set(names)) == len(names)
    assert not set(names) & {*WILDCARDS, *LOOPBACK_NAMES}
    assert all(name == name.lower() for name in names)
    assert (host in WILDCARDS or host in LOOPBACK_NAMES) != (host.lower() in names)
    assert public_host(url) in {None, *LOOPBACK_NAMES, *names}


@given(st.text(max_size=20))
def test_every_text_is_loopback_or_not(host: str) -> None:
    """Whatever is given as a host is judged, not stumbled over; no wildcard is the loopback."""
    assert is_loopback(host) in (True, False)
    assert public_host(f"http://{host}") is None or isinstance(public_host(f"http://{host}"), str)
    assert not any(map(is_loopback, WILDCARDS))
    assert all(map(is_loopback, LOOPBACK_NAMES))
