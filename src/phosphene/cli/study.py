"""`phosphene study`: the group of commands that each answer one question about a network."""

from __future__ import annotations

from cyclopts import App

app = App(name="study", help="One question about a network, answered by pictures that are measured alike.")
