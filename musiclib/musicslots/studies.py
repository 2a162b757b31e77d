"""What is asked of a trained MusicSlots: how many slots and iterations it takes.

Notebooks: 03 note discovery, 14 reproduction.
"""

from musiclib.musicslots import evaluation
from musiclib.musicslots.data import datasets
from musiclib.musicslots.model import MusicSlots

SLOTS, ITERATIONS = (3, 4, 5, 6, 7, 9), (1, 2, 3, 4, 6)  # no fewer slots than notes
CHORDS = 256


def slots_and_iterations(model: MusicSlots, name: str) -> dict:
    """{slots: {iterations: scores of `note_discovery` on validation chords}}, with the weights as they are."""
    data = datasets("JazzNet-multi", model.config.frames).valid
    return {
        str(slots): {
            str(iterations): evaluation.note_discovery(model.resized(slots, iterations), data, CHORDS)
            for iterations in ITERATIONS
        }
        for slots in SLOTS
    }


KINDS = {"slots and iterations": slots_and_iterations}
