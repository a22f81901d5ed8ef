"""Sounds made from recordings: textures, one recording in the style of another, what each layer keeps of one."""
