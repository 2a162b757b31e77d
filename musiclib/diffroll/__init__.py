"""DiffRoll: piano transcription as diffusion; the same network generates, inpaints, and learns from rolls alone."""
