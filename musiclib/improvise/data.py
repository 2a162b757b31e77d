"""The bars of a corpus, and where the latents of a corpus lie.

Notebook: 08 query-based improvisation.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from musiclib import corpora
from musiclib.improvise import bars
from musiclib.improvise.query import Source
from musiclib.improvise.vae import BarVAE
from musiclib.pieces import Corpus
from musiclib.presets import default_device

SOURCE_BARS = 4000


@cache
def data(corpus: str, split: str) -> Tensor:
    """The bars of a split of a corpus, one that ships or a file, (N, 2496) uint8, on the best device here.

    Raises:
        CorpusError: the file is missing or damaged.
        ValueError: nothing sounds in that split.
    """
    pieces = corpora.shipped(corpus) if corpus in corpora.CORPORA else Corpus(Path(corpus))
    own = pieces.split(split)
    if not any(len(piece) for piece in own):
        raise ValueError(
            f"{corpus} has no music in its {split} split, where of ten pieces about one goes: it needs more pieces."
        )
    return bars.of_pieces(own).to(default_device())


@torch.no_grad()
def corpus_source(model: BarVAE, corpus: str) -> Source:
    """Where the latents of a corpus's training bars lie, of at most `SOURCE_BARS` of them, spread evenly."""
    own = data(corpus, "train")
    return Source.of(model.encode(own[:: -(-len(own) // SOURCE_BARS)]).mu)
