"""A unit from every side: where it looks, what it needs, what it is alike, and the page that says so."""
