"""How pictures and sounds look outside their files: in a notebook, and a sound to the eye."""
