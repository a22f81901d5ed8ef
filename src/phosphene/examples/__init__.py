"""Dataset examples: the pictures of a data set that excite each unit most, least and in between."""
