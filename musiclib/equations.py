"""Where every equation of the four papers lives: its function, and the notebook that builds it by hand.

The papers number few of their equations; the others are named by their section.

Notebook: 14 reproduction.
"""

from typing import NamedTuple

from musiclib import ledger


class Equation(NamedTuple):
    """One equation, algorithm or definition of a paper.

    Attributes:
        place: where it stands in the paper. says: what it is. code: where it is in `musiclib`, as a dotted name.
        notebooks: their numbers.
    """

    place: str
    says: str
    code: str
    notebooks: tuple[str, ...]


EQUATIONS = {
    "MusicSlots": (
        Equation("§2", "soft position embedding of [f, t, 1 − f, 1 − t]", "musicslots.model.SoftPosition", ("02",)),
        Equation("§2", "slots begin at µ_k + σ_k·noise", "musicslots.model.SlotAttention", ("02",)),
        Equation("§2, Locatello's algorithm 1", "softmax over slots, weighted mean over tokens",
                 "musicslots.model.SlotAttention.attend", ("02",)),
        Equation("§2, Locatello's algorithm 1", "one iteration: attention, GRU, residual MLP",
                 "musicslots.model.SlotAttention.step", ("02",)),
        Equation("§2, Chang's section 3", "implicit differentiation: a gradient through the last iteration alone",
                 "musicslots.model.SlotAttention.forward", ("02",)),
        Equation("eq. 1", "x̂ = 10·log10 Σ_k m_k 10^(x_k/10)", "musicslots.model.MusicSlots.forward", ("02",)),
        Equation("§2", "mean squared error of the chord in dB", "musicslots.model.reconstruction_loss", ("02",)),
        Equation("A.2", "β-VAE: mean squared error + β·KL", "musicslots.baselines.autoencoder_loss", ("04",)),
        Equation("A.2", "a linear layer names the note in a slot", "musicslots.probes.SlotProbe", ("04",)),
        Equation("A.4", "note MSE under the best assignment", "musicslots.metrics.note_mse", ("03",)),
        Equation("A.4", "mIoU of the masks ≥ −30 dB under the best assignment", "musicslots.metrics.note_iou", ("03",)),
    ),
    "MusicVAE": (
        Equation("Roberts, §3.1", "two-layer bidirectional LSTM → µ, σ", "musicvae.model.Encoder", ("06",)),
        Equation("Roberts, VAE", "z = µ + σ·ε", "posterior.Posterior.sample", ("06",)),
        Equation("Roberts, free bits", "reconstruction + β·max(KL − τ, 0)", "musicvae.model.MusicVAE.forward", ("06",)),
        Equation("Roberts, §3.2", "a conductor that hears z alone", "musicvae.model.Conductor", ("06",)),
        Equation("Roberts, §3.2", "the bars' decoder", "musicvae.model.Decoder", ("06",)),
        Equation("Roberts, interpolation", "spherical interpolation", "musicvae.latent.slerp", ("06", "07")),
        Equation("Roberts, attributes", "attribute vectors", "musicvae.attributes.attribute_vectors", ("07",)),
        Equation("Yang & Lerch", "nine features of a piece", "musicvae.features.FEATURES", ("07",)),
        Equation("Yang & Lerch", "intra-set and inter-set distances", "musicvae.distances.inter_distances", ("07",)),
        Equation("Yang & Lerch", "KL divergence of their densities", "musicvae.distances.kl_divergence", ("07",)),
        Equation("Yang & Lerch", "overlapping area of their densities", "musicvae.distances.overlap", ("07",)),
        Equation("metrics", "two-sided binomial interval of the votes", "votes.interval", ("07",)),
    ),
    "Query-based improvisation": (
        Equation("§2", "H − D ≤ I(x; z) ≤ R, and D + βR", "improvise.vae.BarVAE.forward", ("08",)),
        Equation("§2.1", "R(D) = max(0, ½·log2(σ²/D)), and D(R) = σ²·2^(−2R)", "improvise.channel.distortion", ("08",)),
        Equation("§2.1", "reverse water-filling, bit by bit", "improvise.channel.allocate", ("08",)),
        Equation("§2.1", "reverse water-filling to a level", "improvise.channel.fill", ("08",)),
        Equation("§2.1", "the channel's mean and variance at R bits", "improvise.channel.moments", ("08",)),
        Equation("§2.1", "z at the decoder, drawn from them", "improvise.channel.transmit", ("08",)),
        Equation("§3.1, Wang & Dubnov", "Variable Markov Oracle: suffix links", "improvise.oracle.oracle",
                 ("09",)),
        Equation("§3.1, Wang & Dubnov", "Compror code", "improvise.oracle.code", ("09",)),
        Equation("§3.1", "information rate I(past; present) from code lengths", "improvise.oracle.information_rate",
                 ("09",)),
        Equation("§3.1", "the threshold of the largest information rate", "improvise.oracle.search", ("09",)),
        Equation("§3.1", "motifs at that threshold", "improvise.motifs.motifs", ("09",)),
        Equation("§3.2, Harte", "Tonnetz distance of two chromagrams", "improvise.distances.tonnetz", ("09",)),
        Equation("A", "I(x; z), D and R", "improvise.vae.RateDistortion", ("08",)),
        Equation("B", "deep information dynamics: latent rate and temporal information in one",
                 "improvise.dynamics.measure", ("09",)),
        Equation("§4.1", "recombination along suffix links", "improvise.motifs.recombined", ("09",)),
    ),
    "DiffRoll": (
        Equation("eq. 1", "x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε", "diffroll.diffusion.Diffusion.q_sample", ("11",)),
        Equation("§3", "β linear from 1e-4 to 0.02", "diffroll.diffusion.cumulative_alphas", ("11", "12")),
        Equation("eq. 2", "one network, heard and unheard", "diffroll.model.DiffRoll.forward", ("11",)),
        Equation("§3", "condition dropout p: −1 in place of the spectrogram", "diffroll.diffusion.dropped", ("12",)),
        Equation("eq. 3", "squared error to the clean roll", "diffroll.diffusion.Diffusion.loss", ("11",)),
        Equation("algorithm 1, line 3", "guidance (1 + w)·heard − w·unheard", "diffroll.diffusion.Guided", ("12",)),
        Equation("algorithm 1, lines 4–8", "a step from t to s, DDPM or DDIM", "diffroll.diffusion.Diffusion.step",
                 ("11",)),
        Equation("algorithm 1", "all steps", "diffroll.diffusion.Diffusion.sample", ("12",)),
        Equation("§4.1", "the discriminative twin: x_t = 0, t = 0", "diffroll.diffusion.discriminate", ("11",)),
        Equation("§4", "ln(mel + 1e-6), from 0 to 1", "diffroll.mel.heard", ("10",)),
        Equation("§4", "note F1, onsets within 50 ms", "diffroll.scoring.note_scores", ("10",)),
        Equation("§4.2", "pretraining on rolls, p = 1 and p = 0+1", "diffroll.runs.loss_of", ("12",)),
        Equation("§4.3", "generation, w = −1", "diffroll.evaluation.generate", ("12",)),
        Equation("§4.4", "inpainting: −1 where nothing may be heard", "diffroll.mel.normalised", ("10",)),
    ),
}  # fmt: skip


def index() -> str:
    """All of them in Markdown, with the notebooks as links."""
    rows = [
        [paper, e.place, e.says, f"`musiclib.{e.code}`", ", ".join(e.notebooks)]
        for paper, equations in EQUATIONS.items()
        for e in equations
    ]
    return ledger.table(rows, ["paper", "equation", "what it is", "where", "notebook"])
