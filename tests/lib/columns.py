# SPDX-License-Identifier: Apache-2.0
"""Columns of the statements in etc/analytics, held against docs/record.schema.json."""
import ast
import re

import engines

UNSIGNED = {f"UInt{bits}": 2 ** bits - 1 for bits in (8, 16, 32, 64)}
# Counters and times of 64 bits go into signed numbers where there are no others: nobody counts to 2^63 octets. Identifiers and bits,
# which have the upper half, do not.
SIGNED = {"TINYINT": 2 ** 7 - 1, "SMALLINT": 2 ** 15 - 1, "INT": 2 ** 31 - 1, "BIGINT": 2 ** 63 - 1}
DIGITS = "^[0-9]{1,20}$"


def split(text):
    """The parts of a list, by its commas outside of parentheses."""
    parts, depth = [""], 0
    for c in text:
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def inside(text, start):
    """What is in the parentheses that open at or after a place."""
    start = text.index("(", start)
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[start + 1:i]
    raise ValueError("a parenthesis that does not close")


def listed(text):
    """[(name, type)] of a list of columns; computed ones, indexes and watermarks are none."""
    found = []
    for part in split(text):
        name, rest = part.split(None, 1)
        if name in ("INDEX", "WATERMARK") or rest.startswith("AS "):
            continue
        word = re.match(r"\w+(?:\((?:[^()]|\([^()]*\))*\))?", rest)
        found.append((name, word.group() if word else rest))
    return found


def table(sql, name):
    """Columns of a table that a file of SQL makes."""
    sql = engines.uncommented(sql)
    made = re.search(rf"CREATE TABLE (?:IF NOT EXISTS )?{re.escape(name)}\s*\(", sql)
    if not made:
        raise ValueError(f"no table {name}")
    return listed(inside(sql, made.start()))


def spark(source):
    """Columns of SCHEMA in the job's source."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "SCHEMA":
            return listed(ast.literal_eval(node.value))
    raise ValueError("no SCHEMA")


def most(value):
    """The largest number of a property."""
    return value.get("maximum", 2 ** 64 - 1)


def clickhouse_fits(value, required, kind):
    """Why a type of ClickHouse does not do for a property; None if it does."""
    bare = re.sub(r"^(?:LowCardinality|Nullable)\((.*)\)$", r"\1", kind)
    if value.get("type") != "integer":
        if bare == "String" or (bare == "UInt64" and value.get("pattern") == DIGITS):
            return "absent is '' or 0, not NULL" if kind.startswith("Nullable") else None
        return f"is text, not {kind}"
    if UNSIGNED.get(bare, -1) < most(value):
        return f"is a number to {most(value)}, not {kind}"
    if required == kind.startswith("Nullable"):
        return "is always there" if required else "may be absent, and 0 is not absent: Nullable"
    return None


def signed_fits(value, required, kind):
    """The same of Spark and Flink, whose columns are NULL where a record has nothing."""
    if value.get("type") != "integer":
        return None if kind == "STRING" else f"is text, not {kind}"
    need = min(most(value), 2 ** 63 - 1)
    return None if SIGNED.get(kind, -1) >= need else f"is a number to {most(value)}, not {kind}"


def complaints(columns, schema, fits):
    """What is wrong with columns, a line each."""
    found, names = [], [name for name, _ in columns]
    found += [f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    for name, kind in columns:
        value = schema["properties"].get(name)
        why = fits(value, name in schema["required"], kind) if value else "is no key of records"
        if why:
            found.append(f"{name} {why}")
    return found


def unknown(statement, known):
    """Names in a statement that are neither known, nor made in it by AS, nor functions: keywords have capitals, names have none."""
    sql = re.sub(r"'(?:[^']|'')*'|\{\w+:\w+\}", " ", engines.uncommented(statement))
    made = set(re.findall(r"\bAS (\w+)", sql)) | set(re.findall(r"\bWITH .*? AS (\w+)", sql))
    used = set(re.findall(r"(?<![\w.])([a-z_][a-z0-9_]*)\b(?!\s*\(|\.)", sql))
    return sorted(used - made - set(known))
