"""The teaching guide: its plans last as long as they say."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parent.parent / "book" / "teaching").glob("[0-9][0-9]_*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_plans_last_as_long_as_they_say(page):
    """Minutes stand at the head of a row, and in the short plan at the end of a bracket."""
    plan, short = re.search(r"## Lesson plan\n(.*?)\*\*45 minutes\*\*: ([^\n]*)", page.read_text(), re.S).groups()
    assert sum(int(minutes) for minutes in re.findall(r"^\| (\d+) \|", plan, re.M)) == 90
    assert sum(int(minutes) for minutes in re.findall(r"\b(\d+)\)", short)) == 45
