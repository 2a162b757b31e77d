"""Experiments as data: what is trained on what, how long, and the paper's figures.

Notebooks: 06 MusicVAE, 07 MusicVAE evaluation.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from musiclib import reproduction
from musiclib.musicvae.data import VALUES
from musiclib.musicvae.model import MusicVAEConfig
from musiclib.reproduction import Study
from musiclib.training import TrainingConfig

PAPER_TRAINING = TrainingConfig(50_000, batch=512, learning_rate=1e-3, decay_factor=0.9999)
TRAINING = {
    "small": TrainingConfig(16_000, batch=32, learning_rate=4e-3, warmup=100, evaluate_every=2000),
    "short": replace(PAPER_TRAINING, steps=3000, batch=256),
    "paper": PAPER_TRAINING,
}
PLAN = {"conductor_width": 1024, "decoder_width": 1024, "decoder_layers": 2}
BIG = {"latent": 512, "encoder_width": 2048, "decoder_width": 2048, "decoder_layers": 3}  # the paper's
LONG = {"bars": 16, "free_bits": 256.0, "beta_max": 0.2}


@dataclass(frozen=True)
class Experiment:
    """One model to train.

    Attributes:
        table: where it belongs. corpus: see `corpora.shipped`. kind: "melody" or "roll".
        model: of the paper's size, fields of MusicVAEConfig. small: what is different at the small size, for a CPU.
        training: changed fields at the small size.
        starts_from: at the small size, the experiment whose trained weights it starts from: few bars are learned
            sooner than many, and no weight depends on their number. A conductor that that one lacks begins anew.
        beside: an experiment before this one, with the same windows: the gain over it is part of the scores.
        epochs: after so many of them the weights are kept, and samples of each are part of the results.
        paper: the original's figures: steps right, teacher-forced and sampled.
        ships: whether the trained small weights are part of the course.
    """

    name: str
    table: str
    corpus: str = "fiddle-tunes"
    kind: str = "melody"
    model: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    starts_from: str | None = None
    beside: str | None = None
    epochs: tuple[int, ...] = ()
    sizes: tuple[str, ...] = ("small", "short", "paper")
    paper: tuple[float, float] | None = None
    ships: bool = False

    def model_config(self, size: str) -> MusicVAEConfig:
        changes = self.model | (self.small if size == "small" else {})
        return MusicVAEConfig(kind=self.kind, values=VALUES[self.kind], **changes)

    def training_config(self, size: str, seed: int = 0) -> TrainingConfig:
        return replace(TRAINING[size], seed=seed, **(self.training if size == "small" else {}))

    def needs(self, size: str) -> str | None:
        """The experiment that must have been run before this one."""
        return self.starts_from if size == "small" else None

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"musicvae-{self.name}-{size}" + (f"-seed{seed}" if seed else "")


SMALL = {
    "latent": 128, "encoder_width": 256, "decoder_width": 192, "decoder_layers": 2,
    "beta_max": 0.1, "beta_rate": 0.9999, "sampling_rate": 0.0,
}  # fmt: skip
LADDER = {  # bars → training at the small size, each from the weights of the rung below, the first from melody-2
    4: {"steps": 3500, "learning_rate": 3e-3, "evaluate_every": 500},
    8: {"steps": 3000, "learning_rate": 3e-3, "evaluate_every": 500},
    16: {"steps": 3500, "learning_rate": 2e-3, "evaluate_every": 500},
}
COLLAPSE = {"steps": 2000, "evaluate_every": 200}


def _rung(bars: int, kind: str, **fields: Any) -> Experiment:
    """A flat or hierarchical model of so many bars; `fields` are the others of Experiment."""
    small = SMALL | {"bars": bars, "free_bits": 16.0 * bars, "encoder_layers": 1}
    small |= {"conductor_width": SMALL["latent"]} if kind == "hierarchical" else {}
    return Experiment(
        f"melody-{bars}-{kind}", small=small, training=LADDER[bars],
        starts_from="melody-2" if bars == 4 else f"melody-{bars // 2}-{kind}",
        beside=f"melody-{bars}-flat" if kind == "hierarchical" else None, **fields,
    )  # fmt: skip


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "melody-2", "reconstruction", model=BIG | {"beta_max": 0.5, "sampling_rate": 1000.0}, small=SMALL,
            paper=(0.986, 0.951), ships=True,
        ),
        *(
            _rung(bars, kind, table="length", sizes=("small",))
            for bars in (4, 8)
            for kind in ("flat", "hierarchical")
        ),
        _rung(
            16, "flat", table="reconstruction", model=BIG | LONG | {"encoder_layers": 2}, paper=(0.883, 0.620),
            ships=True,
        ),
        _rung(
            16, "hierarchical", table="reconstruction", model=BIG | LONG | {"encoder_layers": 2} | PLAN,
            paper=(0.919, 0.812), ships=True,
        ),
        Experiment(
            "chorale-2", "reconstruction", corpus="chorales", kind="roll", model=BIG, small=SMALL,
            training={"steps": 9000, "evaluate_every": 1500}, epochs=(25, 50, 100), ships=True,
        ),
        Experiment(
            "melody-2-collapsed", "collapse", small=SMALL | {"beta_max": 1.0, "beta_rate": 0.99}, training=COLLAPSE,
            sizes=("small",),
        ),
        Experiment(
            "melody-2-free-bits", "collapse", small=SMALL | {"beta_max": 1.0, "beta_rate": 0.99, "free_bits": 48.0},
            training=COLLAPSE, sizes=("small",),
        ),
    )
}  # fmt: skip


STUDIES = {study.name: study for study in (Study("musicvae", "features-melody-2", "features", "features", "melody-2"),)}


def find(name: str) -> Experiment | Study:
    """An experiment by name; see `reproduction.find`."""
    return reproduction.find(EXPERIMENTS | STUDIES, name)
