"""MusicSlots: slot attention takes a chord's mel spectrogram apart into its notes (notebooks 02 to 04)."""
