"""Keys stay home: where a URL of an answer may lead, and what goes along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import (
    ConfigurationError,
    InBody,
    InHeader,
    Lifecycle,
    OperationSpec,
    PollRefused,
    QueryCall,
    ResultUnreadable,
    SnapshotError,
    SubmitCall,
)
from resilient_poll.specs.addresses import Address, Forbidden, filled, origin_of, resolved
from tests.specs.services import KEY, WAYS, Run, Scripted, Service
from tests.support.colours import got, run_in
from tests.support.properties import GENUINE
from tests.support.raw_server import RawServer, json_answer

HOME = "https://api.test:443"
each_way = pytest.mark.parametrize(("colour", "library"), WAYS)


def spec_of(**changes: Any) -> OperationSpec:
    """Return a declaration whose status URL the service names."""
    values: dict[str, Any] = {
        "name": "paint",
        "submit": SubmitCall(url="/pictures", id="id"),
        "query": QueryCall(url=InHeader("operation-location")),
        "status": "status",
        "lifecycle": Lifecycle.of(running=["running"], succeeded=["done"]),
    }
    return OperationSpec(**values | changes)


@pytest.mark.parametrize(
    ("found", "url"),
    [
        ("/x/7?a=b", "https://api.test/x/7?a=b"),
        ("7", "https://api.test/jobs/7"),
        ("https://api.test/x#part", "https://api.test/x"),
        ("https://API.test:443/x", "https://API.test:443/x"),
        ("//api.test/x", "https://api.test/x"),
        ("?page=2", "https://api.test/jobs/now?page=2"),
    ],
)
def test_a_url_of_the_same_origin_is_home(found: str, url: str) -> None:
    """A relative URL is resolved against the one that was asked, and its own origin is home however it is spelt."""
    assert resolved(found, "https://api.test/jobs/now", HOME, ()) == Address(url, is_home=True)


@pytest.mark.parametrize(
    "found",
    [
        "https://evil.test/x",
        "//evil.test/x",
        "https://api.test.evil.test/",
        "https://api.test:8443/x",
        "http://api.test/x",
        "http://files.test/x",
        "https://user:word@api.test/x",
        "https://api.test@evil.test/x",
        "ftp://api.test/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://api.test\\@evil.test/",
        "https://[::1",
        "",
        None,
        7,
        ["https://api.test/x"],
    ],
)
def test_any_other_url_is_forbidden(found: object) -> None:
    """Another origin, another scheme, a user's name and what is no URL are not followed."""
    with pytest.raises(Forbidden):
        resolved(found, "https://api.test/jobs/now", HOME, {"files.test.x"})


def test_an_allowed_host_is_asked_without_credentials_and_never_in_the_clear() -> None:
    """A host that the declaration allows is not home, and from https nothing leads to http, allowed or not."""
    assert resolved("https://files.test/x", "https://api.test/", HOME, {"files.test"}).is_home is False
    with pytest.raises(Forbidden, match="from https to http"):
        resolved("http://files.test/x", "https://api.test/", HOME, {"files.test"})


@GENUINE
@given(st.text(max_size=40) | st.text("./\\@:?#%htps[]", max_size=20))
def test_whatever_an_answer_names_only_home_is_home(found: str) -> None:
    """Whatever stands in an answer, it is forbidden, or it leads to the origin that it is said to lead to."""
    try:
        address = resolved(found, "https://api.test/jobs/now", HOME, {"files.test"})
    except Forbidden:
        return
    assert address.is_home is (origin_of(address.url) == HOME)
    assert address.is_home or origin_of(address.url).startswith("https://files.test:")


@GENUINE
@given(st.text(max_size=30), st.sampled_from(["/v1/{id}", "/v1/{+id}", "/v1/{id}/x", "/v1/{+id}:cancel"]))
def test_no_id_leads_elsewhere(task_id: str, template: str) -> None:
    """Whatever a service calls an operation, its URL stays below the declared path."""
    try:
        url = filled(template, task_id)
    except Forbidden:
        return
    address = resolved(url, "https://api.test/", HOME, ())
    assert address.is_home
    assert address.url.startswith("https://api.test/v1/")
    assert "/.." not in address.url
    assert not {"?", "#"} & set(url)


def elsewhere(colour: str, library: str, spec: OperationSpec, status: int, headers: Any, body: Any) -> tuple[Any, Any]:
    """Run a declaration whose create names another origin; return what came of it, and what that origin heard."""

    def other(_: Any) -> bytes:
        return json_answer(200, {"status": "done", "picture": 1})

    with RawServer.answering(other) as stranger:
        service = Service(
            spec,
            lambda _: json_answer(status, body(stranger.url), headers(stranger.url)),
            {"running": lambda _: json_answer(200, body(stranger.url), headers(stranger.url))},
            None,
        )
        scripted = Scripted(service, ["running"])
        with scripted.server as server:
            run = Run(colour, library, server.url)

            async def main() -> Any:
                async with run.client(cookies={"session": "canary"}, params={"key": "canary"}, auth=("canary", "x")):
                    operation = await run.start(service)
                    try:
                        return await got(operation.wait())
                    except (PollRefused, ResultUnreadable) as error:
                        return error

            return run_in(colour, main), list(stranger.requests)


@each_way
def test_another_origin_is_refused(colour: str, library: str) -> None:
    """A status URL at another origin is never asked: the wait ends typed, says why, and the operation is not lost."""
    said = {"operation-location": "{}/7"}
    error, heard = elsewhere(
        colour, library, spec_of(), 202, lambda url: {k: v.format(url) for k, v in said.items()}, lambda _: {"id": "7"}
    )
    assert isinstance(error, PollRefused)
    assert "allow_hosts" in str(error)
    assert error.task_id == "7"
    assert heard == []


@each_way
def test_an_allowed_origin_hears_no_secret(colour: str, library: str) -> None:
    """A host that the declaration allows is asked without the client's key, cookies, parameters and auth."""
    outcome, heard = elsewhere(
        colour,
        library,
        spec_of(allow_hosts={"127.0.0.1"}, query=QueryCall(url=InHeader("operation-location"), headers={"X-A": KEY})),
        202,
        lambda url: {"operation-location": f"{url}/7?sig=abc"},
        lambda _: {"id": "7"},
    )
    assert outcome.result == {"status": "done", "picture": 1}
    assert len(heard) == 1
    assert b"canary" not in heard[0].everything
    assert "authorization" not in heard[0].headers


@each_way
def test_a_result_at_another_origin_is_refused_and_the_success_kept(colour: str, library: str) -> None:
    """A result at a forbidden URL is not fetched: the operation has succeeded, and the error says why there is none."""
    error, heard = elsewhere(
        colour,
        library,
        spec_of(query=QueryCall(url="/pictures/{id}"), result_url=InBody("picture")),
        201,
        lambda _: {},
        lambda url: {"id": "7", "status": "done", "picture": f"{url}/picture"},
    )
    assert isinstance(error, ResultUnreadable)
    assert "another origin" in str(error)
    assert heard == []


def start_and(colour: str, spec: OperationSpec, accepts: Any, act: Any) -> Any:
    """Start against a service that accepts in some way, and do something with the operation and its run."""
    scripted = Scripted(Service(spec, accepts, {"running": lambda _: json_answer(200, {})}, None), ["running"])
    with scripted.server as server:
        run = Run(colour, "httpx", server.url)

        async def main() -> Any:
            async with run.client():
                return await got(act(await run.start(scripted.service), run))

        return run_in(colour, main)


def test_a_url_that_is_a_key_is_in_no_token() -> None:
    """Where the status URL is a key by itself there is no token, neither in the property nor in an error."""

    def accepts(_: str) -> bytes:
        return json_answer(202, {"id": "7"}, {"operation-location": "/7?code=canary"})

    def act(operation: Any, _: Run) -> None:
        with pytest.raises(ConfigurationError, match="key by itself"):
            _ = operation.token
        assert operation.standing.resume_token is None
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it raises, it tells no secret
            operation.wait(timeout=5.0)
        assert "canary" not in str(caught.value)

    start_and("sync", spec_of(), accepts, act)


def test_a_token_is_for_its_origin_and_its_declaration() -> None:
    """A token of another origin or declaration, and a text that is no token, are refused before anything is sent."""

    def accepts(_: str) -> bytes:
        return json_answer(202, {"id": "7"}, {"operation-location": "/7"})

    def act(operation: Any, run: Run) -> None:
        token, spec = operation.token, spec_of()
        assert run.resume(spec, token).task_id == "7"
        for wrong in ("", "rpo1.", "rpo1.!!", token[:-9], "rpo1.bnVsbA", "rpt1." + token[5:]):
            with pytest.raises(SnapshotError):
                run.resume(spec, wrong)
        with pytest.raises(SnapshotError, match="another operation"):
            run.resume(spec_of(name="other"), token)
        run.http_client.base_url = "http://127.0.0.1:1"
        with pytest.raises(SnapshotError, match="another origin"):
            run.resume(spec, token)

    start_and("sync", spec_of(), accepts, act)
