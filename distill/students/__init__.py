"""Students of other kinds than an adapter on the embedded GGUF: from a checkpoint, cut in layers, trained whole."""
