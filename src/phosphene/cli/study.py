"""`phosphene study`: the commands that make many pictures to answer one question."""

from __future__ import annotations

from cyclopts import App

study = App(name="study", help="Make and measure many pictures to answer one question about a network or a method.")
