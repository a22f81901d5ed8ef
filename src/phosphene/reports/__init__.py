"""Reports: HTML pages of pictures that open from disk."""

from phosphene.reports.html import Figure, Page, Section, Table, write_page

__all__ = ["Figure", "Page", "Section", "Table", "write_page"]
