"""Neural style transfer: the content of one picture in the manner of another (Gatys et al. 2015, arXiv 1508.06576)."""
