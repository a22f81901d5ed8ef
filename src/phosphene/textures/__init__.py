"""Pictures whose truth is known: a seeded generator of patterns, figures, letters and colors (`Textures`)."""

from phosphene.textures.dataset import CLASSES, Textures

__all__ = ["CLASSES", "Textures"]
