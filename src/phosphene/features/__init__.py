"""Feature visualization: pictures that make a unit respond, made, measured, kept and made again."""
