"""A page that carries its pictures: every figure's file becomes data, nothing else changes."""

from __future__ import annotations

import base64
import re

from phosphene.reports import Figure, Page, Section
from phosphene.reports.embed import embedded
from phosphene.reports.html import html


def test_pictures_become_data_and_the_rest_stays() -> None:
    figures = (Figure("a b.jpg", "one", 4, 4), Figure("2.svg", "two", 4, 4), Figure("other.png", "three", 4, 4))
    page = html(Page("Title", sections=(Section("all", "All", figures=figures),)))
    made = embedded(page, {"a b.jpg": b"jpeg", "2.svg": b"<svg/>"})
    found = re.findall(r'src="([^"]+)"', made)
    assert found == [
        f"data:image/jpeg;base64,{base64.b64encode(b'jpeg').decode()}",
        f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}",
        "other.png",
    ]
    assert re.sub(r'src="[^"]+"', "", made) == re.sub(r'src="[^"]+"', "", page)
