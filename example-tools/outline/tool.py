"""The headings of Markdown files, as a tree."""

import os
import re
from dataclasses import dataclass
from typing import Annotated

from tollgate_guest import ToolError, log, tool

ROOT = "/docs"
SUFFIXES = (".md", ".markdown")


@dataclass
class Heading:
    level: Annotated[int, "How deep it is nested: 1 for the outermost."]
    title: str
    line: Annotated[int, "Where it is in the file; the first line is 1."]


@dataclass
class File:
    path: str
    headings: list[Heading]


@tool
def outline(
    folder: Annotated[str, "Where to look, as the tool sees it."] = ROOT,
    depth: Annotated[int, "The deepest level that is listed."] = 6,
) -> list[File]:
    """Lists the headings of every Markdown file in a folder and the folders below it."""
    files = []
    for path in markdown_files(folder):
        files.append(outline_file(path, depth))
    return files


@tool
def outline_file(
    path: Annotated[str, "The file, such as /docs/guide.md."],
    depth: Annotated[int, "The deepest level that is listed."] = 6,
) -> File:
    """Lists the headings of one Markdown file."""
    if not 1 <= depth <= 6:
        raise ToolError("invalid-arguments", f"at depth: Markdown has the levels 1 to 6, not {depth}")
    with open(path, encoding="utf-8", errors="replace") as lines:
        return File(path, [heading for heading in headings(lines) if heading.level <= depth])


def markdown_files(folder: str) -> list[str]:
    """Names alone tell files from folders: to ask for the kind of a file would need the right `metadata`."""
    found = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                found += markdown_files(entry.path)
            elif entry.name.endswith(SUFFIXES):
                found.append(entry.path)
    if not found:
        log.debug("no Markdown file in %s", folder)
    return found


FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HASHES = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
RULE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
NO_TITLE = re.compile(r" {0,3}([-*+>]|\d+[.)])\s|\s{4}")


def headings(lines) -> list[Heading]:
    """Headings of both styles: `# Title`, and a line below which is `===` or `---`. Code blocks have none."""
    found, fence, before = [], None, ""
    for number, line in enumerate(lines, 1):
        # Most lines are told by what they begin with: the interpreter pays some thousand units of fuel for each match.
        first = line.lstrip()[:1]
        marks = FENCE.match(line) if first and first in "`~" else None
        if fence:
            fence = None if marks and marks[1].startswith(fence) else fence
            continue
        if marks:
            fence, before = marks[1], ""
            continue
        hashes = HASHES.match(line) if first == "#" else None
        rule = RULE.match(line) if first and first in "=-" else None
        if hashes:
            found.append(Heading(len(hashes[1]), (hashes[2] or "").strip(), number))
        elif rule and before:
            found.append(Heading(1 if "=" in rule[1] else 2, before, number - 1))
        before = "" if hashes or rule or NO_TITLE.match(line) else line.strip()
    return found
