"""Writes chat_templates.json: real models' chat templates, conversations, and what Python's jinja2
makes of them in the environment that transformers sets up.

    python tests/golden/chat_templates.py [--output FILE] TEMPLATE.jinja ...

Without templates, renders anew those that the output file already holds.
"""

import argparse
import datetime
import json
import pathlib

from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1_764_000_000  # the time that strftime_now gives on both sides
HERE = pathlib.Path(__file__).parent

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place — now or later.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A city, e.g. \"Zürich\""},
                "days": {"type": "integer", "minimum": 0, "maximum": 10},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["place"],
        },
    },
}

CALL = {
    "id": "call12345",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"place": "北京", "days": 2}},
}

CASES = {
    "one question": {"messages": [{"role": "user", "content": "How do I list files in Linux?"}]},
    "no prompt to go on": {
        "messages": [
            {"role": "user", "content": "  Hi!\n"},
            {"role": "assistant", "content": " Hello. \n"},
        ],
        "add_generation_prompt": False,
    },
    "system and turns": {
        "messages": [
            {"role": "system", "content": "You are terse. \"Quotes\" & <tags>."},
            {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": "<think>\neasy\n</think>\n\n2"},
            {"role": "user", "content": "那么 2+2 呢？\n第二行"},
        ]
    },
    "tools": {
        "messages": [{"role": "user", "content": "Weather in 北京?"}],
        "tools": [WEATHER],
    },
    "a tool's answer": {
        "messages": [
            {"role": "user", "content": "Weather in 北京?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {
                "role": "tool",
                "name": "get_weather",
                "tool_call_id": "call12345",
                "content": "{\"sky\": \"晴\", \"degrees\": 21.5}",
            },
            {"role": "assistant", "content": "Sunny, 21.5 °C."},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [WEATHER],
    },
    "thinking off": {
        "messages": [{"role": "user", "content": "Hi"}],
        "variables": {"enable_thinking": False},
    },
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Part one."}]}],
    },
}


class Generation(Extension):
    """`{% generation %}` marks what the model wrote; in a prompt it changes nothing."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )

    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: datetime.datetime.fromtimestamp(NOW).strftime(format)
    return env


def render(source, case):
    try:
        text = environment().from_string(source).render(
            messages=case["messages"],
            tools=case.get("tools"),
            documents=None,
            add_generation_prompt=case.get("add_generation_prompt", True),
            bos_token="<s>",
            eos_token="</s>",
            **case.get("variables", {}),
        )
    except Exception as error:  # what a template refuses, ours must refuse too
        return {"error": type(error).__name__}
    return {"text": text}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("templates", nargs="*", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "chat_templates.json")
    options = parser.parse_args()
    if options.templates:
        templates = {path.stem: path.read_text() for path in options.templates}
    else:
        old = json.loads(options.output.read_text())["templates"]
        templates = {template["name"]: template["source"] for template in old}
    result = {
        "now": NOW,
        "cases": CASES,
        "templates": [
            {
                "name": name,
                "source": source,
                "rendered": {case: render(source, CASES[case]) for case in CASES},
            }
            for name, source in sorted(templates.items())
        ],
    }
    options.output.write_text(json.dumps(result, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
