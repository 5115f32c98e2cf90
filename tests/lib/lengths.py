#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Says which C functions are over 80 lines and which files over 700.

A function is a brace at depth 0 that follows a closing parenthesis, once
comments, strings and preprocessor lines are blanked out; its length counts
from the line where its declaration starts to its closing brace.
"""
import re
import sys

FUNCTION_MAX = 80
FILE_MAX = 700

TOKENS = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|[^\n])*",
    re.S | re.M)


def blank(text):
    """The same text, same lines, without comments, strings and directives."""
    return TOKENS.sub(lambda m: "\n" * m.group().count("\n"), text)


def functions(text):
    """Yields (name, first line, last line) of each function body."""
    depth = 0
    start = 0            # where the current declaration begins
    opened = None
    for i, c in enumerate(text):
        if c == "{":
            head = text[start:i].strip()
            if depth == 0:
                is_function = head.endswith(")") and "=" not in head
                opened = (head, i) if is_function else None
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                if opened:
                    yield name_of(opened[0]), line_of(text, start), text.count("\n", 0, i) + 1
                start = i + 1
        elif c == ";" and depth == 0:
            start = i + 1


def line_of(text, start):
    """The line of the first character after start that is not white."""
    while start < len(text) and text[start].isspace():
        start += 1
    return text.count("\n", 0, start) + 1


def name_of(head):
    found = re.search(r"(\w+)\s*\(", head)
    return found.group(1) if found else head


def main(paths):
    bad = 0
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        lines = text.count("\n")
        if lines > FILE_MAX:
            print(f"{path}: {lines} lines, at most {FILE_MAX}")
            bad += 1
        for name, first, last in functions(blank(text)):
            if last - first + 1 > FUNCTION_MAX:
                print(f"{path}:{first}: {name}() has {last - first + 1} lines, at most {FUNCTION_MAX}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
