"""A page that carries its pictures inside: one file that can be sent, kept and opened anywhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from phosphene.reports.html import url

KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
SOURCE = re.compile(r'src="([^"]+)"')


def embedded(page: str, files: Mapping[str, bytes]) -> str:
    """The text of a page with the pictures among `files`, {name as in its figures: content}, as data in the text."""
    named = {url(name): name for name in files}

    def data(match: re.Match[str]) -> str:
        name = named.get(match[1])
        if name is None:
            return match[0]
        content = base64.b64encode(files[name]).decode()
        return f'src="data:{KINDS[PurePosixPath(name).suffix]};base64,{content}"'

    return SOURCE.sub(data, page)
