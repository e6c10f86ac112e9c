"""A broken scenario: one complaint a line, with place, what was found and what was expected; never a traceback."""

# ruff: noqa: E501 - a table of mistakes reads best with one mistake a line

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_server.scenario import ScenarioErrors, find_scenarios, load_scenario, shipped_scenarios
from tests.support.profiles import examples

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
version: 1
summary: For a test.
tasks:
  - PENDING 2s -> RUNNING 3 polls -> SUCCEEDED
expect: {outcome: SUCCEEDED}
"""


def complaints(folder: Path, text: str | bytes, name: str = "broken") -> list[str]:
    """The complaints about a file, without its path."""
    path = folder / f"{name}.yaml"
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    with pytest.raises(ScenarioErrors) as caught:
        load_scenario(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def changed(old: str, new: str) -> str:
    """The good scenario with a change."""
    assert old in GOOD
    return GOOD.replace(old, new)


LIFE = "PENDING 2s -> RUNNING 3 polls -> SUCCEEDED"
LENGTH = "a time such as 20s, 500ms, 5m or 24h, or a number of polls such as 3 polls"
TABLE: list[tuple[str, str, str]] = [
    # Lifecycles: the place is that of the step, inside the line.
    (
        "a status in small letters",
        changed(LIFE, "PENDING 2s -> running 3 polls -> SUCCEEDED"),
        "4:19: found running, expected a status in capitals; did you mean RUNNING?",
    ),
    (
        "a misspelt status",
        changed(LIFE, "PENDING 2s -> RUNING 3 polls -> SUCCEEDED"),
        ("4:19: found RUNING, expected a listed status; did you mean RUNNING? "
        "(a word that is meant: {status: RUNING, unlisted: true})"),
    ),
    (
        "a misspelt status in quotes",
        changed(LIFE, '"PENDING 2s -> CANCELLED"'),
        ("4:20: found CANCELLED, expected a listed status; did you mean CANCELED? "
        "(a word that is meant: {status: CANCELLED, unlisted: true})"),
    ),
    ("a negative duration", changed("PENDING 2s", "PENDING -2s"), f"4:13: found -2s, expected {LENGTH}"),
    ("a unit that is none", changed("PENDING 2s", "PENDING 2 weeks"), f"4:13: found 2 weeks, expected {LENGTH}"),
    ("no polls at all", changed("3 polls", "0 polls"), f"4:27: found 0 polls, expected {LENGTH}"),
    ("a step of ages", changed("PENDING 2s", "PENDING 99999d"), f"4:13: found 99999d, expected {LENGTH}"),
    (
        "a code on a success",
        changed("-> SUCCEEDED", "-> SUCCEEDED Well"),
        f"4:48: found Well, expected {LENGTH}",
    ),
    ("a code of two words", changed("SUCCEEDED\n", "FAILED Not Good\n"), "4:45: found Not Good, expected a code such as DataInspectionFailed"),
    (
        "a step without a length",
        changed("RUNNING 3 polls", "RUNNING"),
        f"4:19: found RUNNING without a length, expected {LENGTH}, as only the last step stays for ever",
    ),
    (
        "a life after the end",
        changed("-> SUCCEEDED", "-> SUCCEEDED -> RUNNING"),
        "4:51: found RUNNING after SUCCEEDED, expected SUCCEEDED last: it is an end",
    ),
    (
        "a length on the last step",
        changed(" -> SUCCEEDED", ""),
        ("4:19: found RUNNING with a length as last step, expected an end such as SUCCEEDED after it, "
        "or no length (it then stays for ever)"),
    ),
    ("an arrow too many", changed("2s ->", "2s -> ->"), "4:19: found nothing, expected a status in capitals"),
    (
        "an empty lifecycle",
        changed(LIFE, '""'),
        "4:5: found nothing, expected a lifecycle such as PENDING 2s -> RUNNING 3 polls -> SUCCEEDED",
    ),
    (
        "both forms of a lifecycle",
        changed(LIFE, "{lifecycle: SUCCEEDED, steps: []}"),
        "4:5: found both or neither of lifecycle and steps, expected one of them",
    ),
    (
        "a long form with an unknown key",
        changed(LIFE, "{lifecyle: SUCCEEDED}"),
        ("4:6: found the key lifecyle, expected one of lifecycle, steps, usage, url_in, times, billed_share, results; "
        "did you mean lifecycle?"),
    ),
    ("no steps", changed(LIFE, "{steps: []}"), "4:13: found an empty list, expected at least one step"),
    ("a step without status", changed(LIFE, "{steps: [{for: 2s}]}"), "4:14: found a step without status, expected one"),
    ("a step that is a word", changed(LIFE, "{steps: [RUNNING]}"), "4:14: found RUNNING, expected a step such as {status: RUNNING, for: 20s}"),
    ("a long step of no length", changed(LIFE, "{steps: [{status: RUNNING, for: ever}]}"), f"4:37: found ever, expected {LENGTH}"),
    (
        "a code where none belongs",
        changed(LIFE, "{steps: [{status: RUNNING, code: X}]}"),
        "4:14: found a code or message on RUNNING, expected them on FAILED only",
    ),
    (
        "a share above one",
        changed(LIFE, "{lifecycle: CANCELED, billed_share: 1.5}"),
        "4:41: found 1.5, expected a decimal number from 0 to 1",
    ),
    (
        "a usage that no model has",
        changed(LIFE, "{lifecycle: SUCCEEDED, usage: count}"),
        "4:35: found count, expected one of counted, measured, detailed; did you mean counted?",
    ),
    ("results of a failure", changed(LIFE, "{lifecycle: FAILED, results: [ok]}"), "4:25: found results of a life that ends as FAILED, expected them of SUCCEEDED only"),
    ("results of what is one thing", changed(LIFE, "{lifecycle: SUCCEEDED, results: [ok]}") + "client: {tasks: 1}", "4:3: found results where client asks for video, expected an endpoint that makes several things (client: {endpoint: text-to-image}, say)"),
    ("outcomes for other tasks", changed("outcome: SUCCEEDED", "outcome: [SUCCEEDED, FAILED]") + "client: {}", "5:9: found 2 outcomes for 1 tasks, expected one for each, or one word for all"),
    ("digits of another script", changed("2s", "٢s"), "4:13: found ٢s, expected " + LENGTH),
    ("no results", changed(LIFE, "{lifecycle: SUCCEEDED, results: []}"), "4:37: found 0 results, expected 1 to 100"),
    ("a result that is a word", changed(LIFE, "{lifecycle: SUCCEEDED, results: [oky]}"), "4:38: found oky, expected ok, or why it failed such as {code: DataInspectionFailed}"),
    ("a failed result without code", changed(LIFE, "{lifecycle: SUCCEEDED, results: [{message: x}]}"), "4:38: found a failed result without code, expected one"),
    ("no tasks", changed(f"\n  - {LIFE}", " []"), "3:8: found an empty list, expected at least one lifecycle"),
    ("tasks that are no list", changed(f"\n  - {LIFE}", " 3"), "3:8: found 3, expected a list of lifecycles"),
    # The frame.
    ("an unknown key", GOOD + "polls: []\n", "6:1: found the key polls, expected one of version, summary, dialects, quotas, service, prices, create, tasks, poll, faults, retention, url_lifetime, takes, client, expect; did you mean poll?"),
    ("a repeated key", GOOD + "summary: Again.\n", "6:1: found the key summary again, expected it once (first on line 2)"),
    ("another version", changed("version: 1", "version: 2"), "1:10: found 2, expected 1, the version of the grammar that is read here"),
    ("no version", changed("version: 1\n", ""), "1:1: found no version, expected version: 1"),
    ("no expectation", changed("expect: {outcome: SUCCEEDED}\n", ""), "1:1: found no expect, expected expect: at least an outcome"),
    ("an empty summary", changed("For a test.", ""), "2:8: found nothing, expected a sentence"),
    ("a novel as summary", changed("For a test.", "x" * 301), "2:10: found 301 characters, expected a sentence of at most 300"),
    ("a dialect that is none", GOOD + "dialects: [aisa, dashskope]\n", "6:18: found dashskope, expected one of aisa, dashscope; did you mean dashscope?"),
    ("no dialect", GOOD + "dialects: []\n", "6:11: found an empty list, expected aisa, dashscope or both"),
    ("a quota of nothing", GOOD + "quotas: {concurrent_tasks: 0}\n", "6:28: found 0, expected a whole number from 1 to 10000"),
    ("a quota in quotes", GOOD + 'quotas: {concurrent_tasks: "3"}\n', "6:28: found 3, expected a whole number from 1 to 10000"),
    ("a tier that is none", GOOD + "quotas: {tier: fre}\n", "6:16: found fre, expected one of free, starter, growth; did you mean free?"),
    ("a cap beside those of models", GOOD + "quotas: {by_model: true, concurrent_tasks: 2}\n", "6:26: found concurrent_tasks beside by_model, expected one of them: each model then has its own"),
    ("an endpoint that is none", GOOD + "client: {endpoint: text-to-imag}\n", "6:20: found text-to-imag, expected one of video, keyframe-video, text-to-image, image-to-image, image-messages, image-synchronous, model-3d, transcription; did you mean text-to-image?"),
    ("an endpoint that a dialect lacks", GOOD + "client: {endpoint: transcription}\n", "6:9: found the endpoint transcription, expected one that aisa has: video, image-synchronous (or dialects without aisa)"),
    ("an input that is a word", GOOD + "client: {input: cat}\n", "6:17: found cat, expected a mapping, as it stands in a request"),
    ("a way the service has not", GOOD + "service: {async_header: enforced}\n", "6:25: found enforced, expected one of required, ignored; did you mean ignored?"),
    ("a price that is a word", GOOD + "prices: {m: cheap}\n", "6:13: found cheap, expected a decimal number from 0 to 1000000"),
    ("a bare number as duration", GOOD + "retention: 30\n", "6:12: found 30, expected a time such as 20s, 500ms, 5m or 24h"),
    ("a list as duration", GOOD + "url_lifetime: [1s]\n", "6:15: found a list, expected a time such as 20s, 500ms, 5m or 24h"),
    ("a client that cancels an end", GOOD + "client: {cancel: SUCCEEDED}\n", "6:18: found SUCCEEDED, expected one of PENDING, RUNNING"),
    ("a flag that is a word", GOOD + "client: {download: yes}\n", "6:20: found yes, expected true or false"),
    ("no outcome", changed("{outcome: SUCCEEDED}", "{}"), "5:9: found no outcome, expected one of SUCCEEDED, FAILED, CANCELED, EXPIRED, STILL_GOING, IN_DOUBT, REFUSED, THROTTLED"),
    ("no outcomes", changed("{outcome: SUCCEEDED}", "{outcome: []}"), "5:19: found an empty list, expected one of SUCCEEDED, FAILED, CANCELED, EXPIRED, STILL_GOING, IN_DOUBT, REFUSED, THROTTLED for each task"),
    ("an outcome that is none", changed("SUCCEEDED}", "SUCCESS}"), "5:19: found SUCCESS, expected one of SUCCEEDED, FAILED, CANCELED, EXPIRED, STILL_GOING, IN_DOUBT, REFUSED, THROTTLED; did you mean SUCCEEDED?"),
    ("a count below zero", changed("SUCCEEDED}", "SUCCEEDED, downloads: -1}"), "5:41: found -1, expected a whole number from 0 to 1000000"),
    # Scripted answers.
    ("an answer that is nothing", GOOD + "poll: [{}]\n", "6:8: found nothing, expected exactly one of pass, throttle, status, drop"),
    ("an answer that is two", GOOD + "poll: [{pass: 1, status: 500}]\n", "6:8: found pass and status, expected exactly one of pass, throttle, status, drop"),
    ("a misspelt answer", GOOD + "poll: [{throtle: {}}]\n", "6:8: found throtle, expected exactly one of pass, throttle, status, drop; did you mean throttle?"),
    ("an answer that is a word", GOOD + "create: [drop]\n", "6:10: found drop, expected a scripted answer such as {status: 502}"),
    ("a key beside a pass", GOOD + "poll: [{pass: 1, times: 2}]\n", "6:18: found the key times, expected one of pass beside pass"),
    ("a throttle that is a time", GOOD + "create: [throttle: 3s]\n", "6:20: found 3s, expected a mapping such as {retry_after: 3s}"),
    ("a form that is none", GOOD + "create: [throttle: {retry_after: 3s, form: date}]\n", "6:44: found date, expected one of seconds, http-date, none; did you mean http-date?"),
    ("a status that is none", GOOD + "create: [status: 99]\n", "6:18: found 99, expected a whole number from 200 to 599"),
    ("a commit on a poll", GOOD + "poll: [{status: 500, when: after_commit}]\n", "6:22: found when on a poll answer, expected it on create only"),
    ("a drop at no time", GOOD + "create: [drop: sometimes]\n", "6:16: found sometimes, expected one of before_commit, after_commit"),
    ("a cut that is none", GOOD + "create: [{drop: before_commit, how: gently}]\n", "6:37: found gently, expected one of reset, close"),
    ("a header name that is none", GOOD + 'create: [{status: 500, headers: {"a b": x}}]\n', "6:34: found a b, expected a header name"),
    ("a header that frames", GOOD + "create: [{status: 500, headers: {Content-Length: 3}}]\n", "6:34: found the header Content-Length, expected none that frames the answer"),
    ("a header of two lines", GOOD + 'create: [{status: 500, content_type: "a\\nb"}]\n', "6:38: found a�b, expected a header value: printable ASCII on one line"),
    ("a code for a third dialect", GOOD + "create: [{status: 500, code: {azure: X}}]\n", "6:31: found the key azure, expected one of aisa, dashscope"),
    # YAML.
    ("a tab", changed("  - PEND", "\t- PEND"), "4:1: found a tab, expected spaces"),
    ("an anchor", changed("- PENDING", "- &life PENDING"), "4:5: found the anchor &life, expected plain values (anchors are not read here)"),
    ("a tag", changed("For a test.", "!!python/object:os.system x"), "2:10: found the tag tag:yaml.org,2002:python/object:os.system, expected plain values (tags are not read here)"),
    ("an own tag", changed("For a test.", "!x y"), "2:10: found the tag !x, expected plain values (tags are not read here)"),
    ("a second colon", changed("For a test.", "For: a test."), '2:13: found a second colon, expected quotes around a value that holds ": "'),
    ("a bracket left open", GOOD + "dialects: [aisa\n", "7:1: found broken YAML (expected ',' or ']', but got '<stream end>'), expected a scenario"),
    ("two documents", GOOD + "---\na: 1\n", "6:1: found another document, expected one scenario a file"),
    ("an empty file", "", "1:1: found an empty file, expected a scenario that starts with version: 1"),
    ("a list", "- 1\n", "1:1: found a list, expected a scenario: a mapping that starts with version: 1"),
    ("a word", "hello\n", "1:1: found hello, expected a scenario: a mapping that starts with version: 1"),
    ("a list as key", "? [a]\n: b\n", "1:3: found a list, expected a word as key"),
    ("a control character", changed("a test", "a \x07 test"), "2:16: found the character U+0007, expected printable text"),
    ("deep nesting", "a: " + "[" * 30 + "]" * 30, "1:24: found nesting deeper than 20, expected a scenario"),
    ("nesting beyond the parser", "- " * 20_000, "1:1: found nesting beyond reason, expected a scenario"),
    ("a wall of brackets", "[" * 20_000, "1:1: found 20000 opening brackets, expected a scenario"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    """Each mistake gives a line with its exact line and column, what was found and what was expected."""
    found = complaints(tmp_path, text)
    assert expected in found
    # A mistake is told once: only what is truly missing may come on top (an empty mapping lacks every key).
    assert all("found no " in line for line in found if line != expected), found


def test_all_mistakes_come_in_one_go(tmp_path: Path) -> None:
    """Several mistakes are all told, in the order of the file."""
    found = complaints(
        tmp_path,
        """\
        version: 3
        sumary: Wrong.
        tasks:
          - PENDING -> RUNNING 2s
          - SUCEEDED
        poll:
          - status: 1000
            time: 3
        expect: {outcome: FINE}
        """,
    )
    places = [line.split(": ")[0] for line in found]
    assert places == ["1:1", "1:10", "2:1", "4:5", "4:16", "5:5", "7:13", "8:5", "9:19"]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """Too large, not UTF-8, a folder, or not there: one line each."""
    assert complaints(tmp_path, b"#" * 100_001) == [
        "1:1: found more than 100000 bytes, expected a scenario of a page or two"
    ]
    assert complaints(tmp_path, b"version: 1\nsummary: \xff\n") == ["2:10: found the byte 0xff, expected UTF-8 text"]
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ScenarioErrors, match="found no readable file") as caught:
            load_scenario(path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_bomb_does_not_go_off(tmp_path: Path) -> None:
    """Aliases that would unfold to a billion words, or to a circle, are refused by their anchors."""
    lines = ["a: &a [x, x]"] + [
        f"{name}: &{name} [*{last}, *{last}]" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    found = complaints(tmp_path, "\n".join(lines))
    assert len(found) == 9
    assert found[0] == "1:4: found the anchor &a, expected plain values (anchors are not read here)"
    assert complaints(tmp_path, "a: &a [*a]")[0].startswith("1:4: found the anchor")
    assert complaints(tmp_path, "a: &a 1\nb: &a 2")[1].startswith("2:4: found the anchor")


def test_a_flood_of_mistakes_is_cut(tmp_path: Path) -> None:
    """Of very many complaints the first hundred are shown, and the number of the rest."""
    path = tmp_path / "flood.yaml"
    path.write_text(GOOD + "".join(f"key{number}: 1\n" for number in range(150)))
    with pytest.raises(ScenarioErrors) as caught:
        load_scenario(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 101
    assert lines[-1].endswith("… and 50 more")


def test_names_come_from_files(tmp_path: Path) -> None:
    """A name that could not stand in a key is refused; a byte order mark, `.yml` and folded lines are not."""
    assert complaints(tmp_path, GOOD, "Not A Name")[0].startswith("1:1: found the file name 'Not A Name'")
    path = tmp_path / "fine.yml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("PENDING 2s -> ", ">\n    PENDING 2s ->\n    ").encode())
    assert [step.status for step in load_scenario(path).tasks[0].steps] == ["PENDING", "RUNNING", "SUCCEEDED"]


def test_a_folder_of_scenarios_is_looked_through(tmp_path: Path) -> None:
    """Themes are sub-folders, `contract` is none; two files of one name, and links out, are refused."""
    (tmp_path / "theme").mkdir()
    (tmp_path / "contract").mkdir()
    for path in ("a.yaml", "theme/b.yml", "contract/c.yaml", "notes.txt"):
        (tmp_path / path).write_text(GOOD)
    assert find_scenarios(tmp_path) == {"a": tmp_path / "a.yaml", "b": tmp_path / "theme" / "b.yml"}
    (tmp_path / "theme" / "a.yaml").write_text(GOOD)
    with pytest.raises(ScenarioErrors, match="a second scenario named a"):
        find_scenarios(tmp_path)
    (tmp_path / "theme" / "a.yaml").unlink()
    outside = tmp_path.parent / "outside.yaml"
    outside.write_text(GOOD)
    (tmp_path / "link.yaml").symlink_to(outside)
    with pytest.raises(ScenarioErrors, match="a link out of"):
        find_scenarios(tmp_path)


def lines_about(path: Path) -> list[str]:
    """The complaints about a file, none if it is a scenario; anything else that is raised goes up."""
    try:
        load_scenario(path)
    except ScenarioErrors as errors:
        return list(errors.lines()) or ["found nothing to complain about, and complained"]
    return []


PIECES = st.sampled_from(
    [
        "version: 1\n",
        "summary: x\n",
        "tasks:\n",
        "  - ",
        "PENDING",
        "2s",
        "->",
        "RUNNING",
        "3 polls",
        "SUCCEEDED",
        "\n",
        "expect:",
        "{",
        "}",
        "[",
        "]",
        "outcome: ",
        ": ",
        ",",
        "poll:",
        "create:",
        "throttle",
        "retry_after",
        "&a",
        "*a",
        "!x",
        "'",
        '"',
        "\t",
        "#",
        "? ",
        "- ",
        "---\n",
        "%",
        "@",
        "`",
        "1",
        "-1",
        "0x1",
        "1e9",
        "null",
        "~",
        "true",
        "<<",
        "é",
        "\x00",
        ">",
        "\\",
        "",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(300), deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80) | st.binary(max_size=80))
def test_no_file_whatever_gives_a_traceback(tmp_path: Path, text: str | bytes) -> None:
    """Any bytes at all are a scenario or a list of complaints, each one line with a place inside the file."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    path = tmp_path / "any.yaml"
    path.write_bytes(raw)
    for line in lines_about(path):
        place = re.match(rf"{re.escape(str(path))}:(\d+):(\d+): found ", line)
        assert place, line
        assert "\n" not in line
        assert 1 <= int(place[1]) <= raw.count(b"\n") + raw.count(b"\r") + 10
        assert int(place[2]) >= 1


NAMES = sorted(shipped_scenarios().items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(300), deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_no_cut_or_changed_scenario_gives_a_traceback(
    tmp_path: Path, named: tuple[str, Path], data: st.DataObject
) -> None:
    """A good file with a piece cut out or put in is still read or complained about."""
    text = named[1].read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    path = tmp_path / f"{named[0]}.yaml"
    path.write_text(text[:start] + data.draw(PIECES) + text[end:])
    lines_about(path)
