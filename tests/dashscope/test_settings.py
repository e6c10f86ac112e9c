"""Which dialect, key and base URL a client uses: explicit, or inferred without a guess."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import AsyncDashScope, ConfigurationError, DashScope
from resilient_poll.dashscope.settings import Settings, resolve_settings
from resilient_poll.dashscope.wire.dialects import DIALECTS

A, D = "sk-key-of-aisa-0001", "sk-key-of-dashscope-0002"
VARIABLES = ("AISA_API_KEY", "AISA_BASE_URL", "DASHSCOPE_API_KEY", "DASHSCOPE_HTTP_BASE_URL", "DASHSCOPE_BASE_URL")


def resolve(environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    defaults: dict[str, Any] = {"dialect": None, "api_key": None, "base_url": None, "headers": None}
    return resolve_settings(**defaults | arguments, environ=environ or {})


@pytest.mark.parametrize(
    ("environ", "dialect", "key", "base_url"),
    [
        ({"AISA_API_KEY": A}, "aisa", A, "https://api.aisa.one/apis/v1"),
        ({"DASHSCOPE_API_KEY": D}, "dashscope", D, "https://dashscope.aliyuncs.com/api/v1"),
        ({"AISA_API_KEY": A, "AISA_BASE_URL": "http://a/x/"}, "aisa", A, "http://a/x"),
        ({"DASHSCOPE_API_KEY": D, "DASHSCOPE_BASE_URL": "http://b"}, "dashscope", D, "http://b"),
        ({"DASHSCOPE_API_KEY": D, "DASHSCOPE_HTTP_BASE_URL": "http://c"}, "dashscope", D, "http://c"),
        (
            {"DASHSCOPE_API_KEY": D, "DASHSCOPE_HTTP_BASE_URL": "http://c", "DASHSCOPE_BASE_URL": "http://b"},
            "dashscope",
            D,
            "http://c",
        ),
        ({"DASHSCOPE_API_KEY": D, "AISA_API_KEY": ""}, "dashscope", D, "https://dashscope.aliyuncs.com/api/v1"),
    ],
)
def test_the_dialect_is_the_one_whose_variables_are_set(
    environ: dict[str, str], dialect: str, key: str, base_url: str
) -> None:
    """Exactly one family of variables that is set decides dialect, key and URL; an empty variable is not set."""
    settings = resolve(environ)
    assert (settings.dialect.name, settings.api_key, settings.base_url) == (dialect, key, base_url)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("others", range(2 ** len(VARIABLES)))
def test_a_dialect_reads_only_its_own_variables(dialect: str, others: int) -> None:
    """Whatever is set, neither key nor URL of the other dialect is ever used, and no mixture is guessed."""
    environ = {
        name: f"http://{name.lower().replace('_', '-')}" for at, name in enumerate(VARIABLES) if others >> at & 1
    }
    own = {name for name in environ if name.startswith(dialect.upper())}
    foreign = set(environ) - own
    key_variable = f"{dialect.upper()}_API_KEY"
    if key_variable not in environ:
        with pytest.raises(ConfigurationError, match=key_variable):
            resolve(environ, dialect=dialect)
    else:
        settings = resolve(environ, dialect=dialect)
        assert settings.api_key == environ[key_variable]
        assert settings.base_url not in {environ[name] for name in foreign}
    if own and foreign:
        with pytest.raises(ConfigurationError, match="both dialects"):
            resolve(environ)
    if not environ:
        with pytest.raises(ConfigurationError, match="no dialect"):
            resolve(environ)


def test_a_url_alone_chooses_the_dialect_and_lends_it_no_key() -> None:
    """A base URL of one family and a key of the other are two families, hence a question and not a guess."""
    with pytest.raises(ConfigurationError, match="AISA_API_KEY"):
        resolve({"AISA_BASE_URL": "http://a"})
    with pytest.raises(ConfigurationError, match="which dialect"):
        resolve({"AISA_BASE_URL": "http://a", "DASHSCOPE_API_KEY": D})


def test_arguments_win() -> None:
    """What is passed is used, whatever is set."""
    settings = resolve(
        {"AISA_API_KEY": A, "AISA_BASE_URL": "http://a"}, dialect="dashscope", api_key="k", base_url="http://z/"
    )
    assert (settings.dialect.name, settings.api_key, settings.base_url) == ("dashscope", "k", "http://z")


@pytest.mark.parametrize("kind", [DashScope, AsyncDashScope])
def test_the_clients_read_the_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients infer their settings from the process's variables, and say so in their repr without the key."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="which dialect"):
        kind()
    monkeypatch.setenv("AISA_API_KEY", A)
    shown = repr(kind())
    assert "aisa" in shown
    assert A not in shown


def test_an_unknown_dialect_is_named_with_those_that_exist() -> None:
    """A mistyped dialect is an error that lists the right ones."""
    with pytest.raises(ConfigurationError, match="aisa, dashscope"):
        resolve(dialect="dash-scope", api_key="k")


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "a\r\nx: y", "\u00e9", "k" * 513, "\x00", b"sk-bytes", 17])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    """A key that no header could carry is refused before anything is sent, and is not shown."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(dialect="aisa", api_key=key)
    assert not key or str(key) not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.aisa.one",
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "https:///path",
        "http://host/v1?",
        "http://host/v1?x=1",
        "http://host/v1#",
        "http://host/v1#x",
        "http://user@host/",
        "http://user:password@host/",
        "http://@host/",
        "http://ho st/",
        "http://host/a b",
        "http://host\n/",
        " http://host/",
        "http://host/\x00",
        "http://host/\x7f",
        "http://h\u00f6st/",
        "http://host:0/",
        "http://host:99999/",
        "http://host:port/",
        "http://[::1/",
        "http://[::g]/",
        "http://1.2.3.999/",
        "http://1.2.3/",
        "http://-host/",
        "http://ho%73t/",
        "http://host\\evil/",
        b"http://host/",
        17,
    ],
)
def test_a_base_url_that_makes_no_sense_is_refused(url: Any) -> None:
    """A base URL that could not be sent to, or would be another one than it seems, is refused at once."""
    with pytest.raises(ConfigurationError):
        resolve(dialect="aisa", api_key="k", base_url=url)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/x", "https://HOST.example/apis/v1", "http://[::1]:80", "http://my_host", "http://a-b.c/d"],
)
def test_a_base_url_that_makes_sense_is_taken_as_it_is(url: str) -> None:
    """Names, addresses of both kinds, ports and paths are taken; only slashes at the end go."""
    assert resolve(dialect="aisa", api_key="k", base_url=url + "//").base_url == url


@pytest.mark.parametrize(
    "url", ["sk-0123456789", "ftp://user:hunter22@host/", "http://user:hunter22@host:99999/", "http://:hunter22@/"]
)
def test_a_secret_in_the_place_of_a_url_is_not_shown(url: str) -> None:
    """Arguments that were mixed up, or a password in a URL, do not end in an error's text."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(dialect="aisa", api_key="k", base_url=url)
    assert "hunter22" not in str(caught.value)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:b", "x"),
        ("a\nb", "x"),
        ("x", "a\r\nauthorization: b"),
        ("x", "\u2028"),
        ("x", "\x00"),
        ("x", 17),
        (17, "x"),
        ("x", None),
        ("Authorization", "Bearer other"),
        ("HOST", "elsewhere"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("X-DashScope-Async", "disable"),
        ("connection", "close"),
    ],
)
def test_a_header_that_would_change_the_request_is_refused(name: Any, value: Any) -> None:
    """A header that is none, that would smuggle another one, or that is the client's own business is refused."""
    with pytest.raises(ConfigurationError):
        resolve(dialect="aisa", api_key="k", headers={name: value})


def test_headers_are_kept_and_not_shown() -> None:
    """A caller's headers go along in their order, and no repr shows them or the key."""
    settings = resolve(dialect="aisa", api_key=A, headers={"X-DashScope-WorkSpace": "ws-secret", "x-b": "2"})
    assert settings.headers == (("X-DashScope-WorkSpace", "ws-secret"), ("x-b", "2"))
    assert A not in repr(settings)
    assert "ws-secret" not in repr(settings)


@given(
    st.text(max_size=30) | st.from_regex(r"https?://[\x00-\xff]{0,20}", fullmatch=True),
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2),
)
def test_any_text_is_taken_or_refused(url: str, key: str, headers: dict[str, str]) -> None:
    """Whatever is passed, the settings are usable or a ConfigurationError says why; nothing else is raised."""
    try:
        settings = resolve(dialect="aisa", api_key=key, base_url=url, headers=headers)
    except ConfigurationError:
        return
    assert settings.base_url.isascii()
    assert settings.api_key.isprintable()


@given(st.from_regex(r"https?://[A-Za-z0-9.:\[\]_%~-]{1,20}(/[!-~]{0,10})?", fullmatch=True))
def test_a_url_that_is_taken_is_one_that_both_libraries_take(url: str) -> None:
    """What the settings accept, the HTTP libraries can build a request for, to that very host."""
    import httpx  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    try:
        settings = resolve(dialect="aisa", api_key="k", base_url=url)
    except ConfigurationError:
        return
    for library in (httpx, httpx2):
        built = library.Request("GET", settings.base_url + "/tasks/x")
        assert built.url.path.endswith("/tasks/x")
