"""MusicVAE: a recurrent variational auto-encoder for scores. Notebooks 05, 06 and 07."""
