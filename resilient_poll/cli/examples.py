"""The examples that the help shows. A test types each of them into a shell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from resilient_poll.cli.exit_codes import exit_code_help
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS

__all__ = ["EXAMPLES", "epilog"]

_RUN = r"""
resilient-poll run --model wan2.6-t2v --prompt 'a cat' -o cat.mp4

resilient-poll run --model wan2.6-t2v --prompt 'a cat' \
    --parameters '{"size": "1280*720"}' --new -o 'cat-{task_id}.{extension}'

resilient-poll run --endpoint image-synchronous --model wan2.6-image \
    -o cat.png \
    --input '{"messages": [{"role": "user", "content": [{"text": "cat"}]}]}'
"""
_SUBMIT = r"""
ID=$(resilient-poll submit --model wan2.6-t2v --prompt 'a cat')

resilient-poll submit --model wan2.6-t2v --prompt 'a cat' --key order-17

resilient-poll submit --model wan2.6-t2v --prompt 'a cat' --json >cat.json
"""
_WAIT = r"""
resilient-poll wait "$ID"

resilient-poll wait "$ID" --timeout 900 -o cat.mp4
"""
_STATUS = r"""
resilient-poll status "$ID"

resilient-poll status "$ID" --json | python -m json.tool
"""
_CANCEL = r"""
resilient-poll cancel "$ID"

resilient-poll cancel "$ID" --dialect dashscope --json
"""
_DOWNLOAD = r"""
resilient-poll download "$ID"

resilient-poll download "$ID" -o 'cat-{index}.{extension}'
"""

_LIST = r"""
resilient-poll list

resilient-poll list --remote --since 6h --status SUCCEEDED

resilient-poll list --remote --since 2026-11-22T08:00+01:00 --json
"""

_SHOW = r"""
resilient-poll show "$ID"

resilient-poll show "$ID" --json | python -m json.tool
"""

_RESUME = r"""
resilient-poll resume "$ID"

resilient-poll resume --all -o clips/
"""

_RECONCILE = r"""
resilient-poll reconcile

resilient-poll reconcile --json
"""

_WORK = r"""
resilient-poll work --once -o clips/

resilient-poll work --once --exec 'cat >>outcomes.jsonl'
"""

_BILL = r"""
resilient-poll bill

resilient-poll bill --since 30d --by day --json
"""

_ARCHIVE = r"""
resilient-poll archive --before 30d

resilient-poll archive --before 90d --vacuum --yes
"""

_BATCH = r"""
echo '{"id": "cat", "input": {"prompt": "a cat"}}' > jobs.jsonl

resilient-poll batch jobs.jsonl --model wan2.6-t2v --concurrent 3

resilient-poll batch - --state cats.state.jsonl --model wan2.6-t2v \
    -o cats/ < jobs.jsonl > results.jsonl
"""

_COMPLETION = r"""
eval "$(resilient-poll completion bash)"

resilient-poll completion fish > resilient-poll.fish
"""

EXAMPLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: tuple(text.strip().split("\n\n"))
        for name, text in {
            "run": _RUN,
            "submit": _SUBMIT,
            "wait": _WAIT,
            "status": _STATUS,
            "cancel": _CANCEL,
            "download": _DOWNLOAD,
            "list": _LIST,
            "show": _SHOW,
            "resume": _RESUME,
            "reconcile": _RECONCILE,
            "bill": _BILL,
            "work": _WORK,
            "archive": _ARCHIVE,
            "batch": _BATCH,
            "completion": _COMPLETION,
        }.items()
    }
)
"""What to type, by command."""


def epilog(command: str, *, creates: bool = False) -> str:
    """Return what stands below a command's options: examples, what it can make, and the exit codes.

    Args:
        command: The command's name.
        creates: Whether the endpoints are listed.
    """
    shown = [
        f"  {'$ ' if number == 0 else ''}{line}"
        for example in EXAMPLES[command]
        for number, line in enumerate(example.splitlines())
    ]
    # \b keeps click from joining the lines.
    blocks = ["\b\nExamples:\n" + "\n".join(shown)]
    if creates:
        width = max(map(len, ENDPOINTS))
        named = [
            f"  {name.ljust(width)}  {endpoint.makes}{', at once' if endpoint.is_synchronous else ''}"
            f" ({' and '.join(sorted(endpoint.dialects))})"
            for name, endpoint in ENDPOINTS.items()
        ]
        blocks.append("\b\nEndpoints, each by its name or its path:\n" + "\n".join(named))
    return "\n\n".join([*blocks, exit_code_help()])
