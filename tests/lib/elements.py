# SPDX-License-Identifier: Apache-2.0
"""Elements that a receiver has to be told of, in its own format: the lower part of files in etc/interop, from templates/fields.def.

python3 tests/lib/elements.py makes those parts anew; tests/e2e/test_interop_files.py says when that is due.
"""
import collections
import os
import re

import l7

INTEROP = os.path.join(l7.ROOT, "etc", "interop")
MARK = "made from templates/fields.def"
REVERSE, NTOP, OWN = 29305, 35632, 32473

Element = collections.namedtuple("Element", "pen number name type netflow")   # type: uint8 to uint64, string, ip6; netflow: number in v9, or 0

ROW = re.compile(r"^L7_FIELD\((\w+), [^,]+, (\w+), (\w+), (\d+), (\w+), (\d+), \d+, (\"\w+\"|NULL), ", re.M)
OPTION = re.compile(r"^\tL7_IE_(\w+) = (\d+), +/\* (\w+)", re.M)


def text_of(*path):
    with open(os.path.join(l7.ROOT, *path), encoding="utf-8") as f:
        return f.read()


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def of_fields():
    """All elements that are no IANA's. They have the keys that they have in JSON; what repeats another one has its own name."""
    pens = {"IANA": 0, "REVERSE": REVERSE, "NTOP": NTOP, "OWN": OWN}
    for name, kind, pen, number, octets, netflow, key in ROW.findall(text_of("templates", "fields.def")):
        if pens.get(pen):
            short = "string" if "TEXT" in kind or octets == "VARLEN" else "ip6" if kind == "IP" else f"uint{8 * int(octets)}"
            yield Element(pens[pen], int(number), snake(name) if key == "NULL" else key.strip('"'), short, int(netflow))


def of_options():
    """Elements that only options records have."""
    types = {"string": "string", "u64": "uint64"}
    for name, number, kind in OPTION.findall(text_of("include", "l7", "fields.h")):
        yield Element(OWN, int(number), name.lower(), types[kind], 0)


def elements():
    found = sorted([*of_fields(), *of_options()])
    assert len({(e.pen, e.number) for e in found}) == len({e.name for e in found}) == len(found) > 60
    return found


def by_enterprise(line):
    """Lines of each element, below one with its enterprise."""
    made, last = [], None
    for element in elements():
        if element.pen != last:
            made.append(f"{element.pen}:")
        last = element.pen
        made += line(element)
    return made


def yaml_ipfix():
    """As in Logstash's codec, which Filebeat has taken over."""
    return by_enterprise(lambda e: [f"  {e.number}:", f"  - :{e.type}_addr" if e.type == "ip6" else f"  - :{e.type}", f"  - :{e.name}"])


def yaml_netflow():
    return [line for e in sorted(elements(), key=lambda e: e.netflow) if e.netflow
            for line in (f"{e.netflow}:", f"- :{e.type}", f"- :{e.name}")]


def yaml_vflow():
    types = {"string": "string", "ip6": "ipv6Address"}
    return by_enterprise(lambda e: [f"  {e.number}:", f"  - {e.name}", f"  - {types.get(e.type) or e.type.replace('uint', 'unsigned')}"])


def csv_telegraf():
    types = {"string": "string", "ip6": "ip"}
    return [f"{e.pen}.{e.number},{e.name},{types.get(e.type, 'uint')}" for e in elements()]


FILES = {
    "filebeat/ipfix.yml": yaml_ipfix,
    "filebeat/netflow.yml": yaml_netflow,
    "logstash/ipfix.yml": yaml_ipfix,
    "logstash/netflow.yml": yaml_netflow,
    "telegraf/elements.csv": csv_telegraf,
    "vflow/ipfix.elements": yaml_vflow,
}


def head_of(name):
    """What somebody has written above the mark, and the line of the mark."""
    lines = text_of("etc", "interop", *name.split("/")).splitlines()
    marks = [i for i, line in enumerate(lines) if MARK in line]
    assert len(marks) == 1, f"{name} has no line with '{MARK}', or several"
    return lines[:marks[0] + 1]


def as_it_should_be(name):
    return "\n".join(head_of(name) + FILES[name]()) + "\n"


def main():
    for name in FILES:
        made = as_it_should_be(name)
        with open(os.path.join(INTEROP, *name.split("/")), "w", encoding="utf-8") as f:
            f.write(made)


if __name__ == "__main__":
    main()
