"""Studies: many pictures made and measured to answer one question about a network, or about the method."""
