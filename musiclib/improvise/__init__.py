"""Query-based improvisation: a bar VAE, a channel of limited rate, and the oracle that measures what the rate does."""
