"""DeepDream: a picture in which a network is shown more of whatever it sees there."""
