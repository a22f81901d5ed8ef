"""Studies: one question about a network, answered by pictures that are measured alike."""
