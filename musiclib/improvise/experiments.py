"""Experiments as data: which bar VAE is trained on what, and how long.

The paper's model is small enough for a CPU, so there is one size: the paper's, whatever the preset.

Notebook: 08 query-based improvisation.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from musiclib import reproduction
from musiclib.improvise.vae import BarVAEConfig
from musiclib.reproduction import Study
from musiclib.training import TrainingConfig

TRAINING = TrainingConfig(
    20_000, batch=100, learning_rate=1e-3, decay_factor=1.0, clip_norm=None, evaluate_every=1000
)  # a rate that stays as it is
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)  # points on a curve: each a quarter as long
HEARD = (0.25, 1.0, 4.0)  # those of which samples ship


@dataclass(frozen=True)
class Experiment:
    """One model to train.

    Attributes:
        table: where it belongs. corpus: see `corpora.shipped`, or a corpus file. beta: the price of rate.
        steps: updates. ships: whether the trained weights are part of the course.
    """

    name: str
    table: str
    corpus: str = "chorales"
    beta: float = 1.0
    steps: int = TRAINING.steps
    ships: bool = False
    sizes: tuple[str, ...] = ("paper",)

    def model_config(self) -> BarVAEConfig:
        return BarVAEConfig(beta=self.beta)

    def training_config(self, seed: int = 0) -> TrainingConfig:
        return replace(TRAINING, steps=self.steps, seed=seed)

    def needs(self, size: str) -> None:
        """Every one begins anew."""

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"improvise-{self.name}" + (f"-seed{seed}" if seed else "")


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("chorales", "bars", ships=True),
        Experiment("fiddle-tunes", "bars", corpus="fiddle-tunes", steps=10_000, ships=True),
        *(Experiment(f"beta-{beta:g}", "rate and distortion", beta=beta, steps=5000) for beta in BETAS),
    )
}
STUDIES = {
    study.name: study
    for study in (
        Study("improvise", "rates-chorales", "rates", "rates", "chorales", ("paper",)),
        *(Study("improvise", f"heard-beta-{beta:g}", "heard", "beta", f"beta-{beta:g}", ("paper",)) for beta in HEARD),
    )
}


def find(name: str) -> Experiment | Study:
    """An experiment by name, see `reproduction.find`; or of a corpus file of your own, which `ingest` made."""
    if Path(name).is_file():
        return Experiment(Path(name).stem, "own", corpus=name)
    return reproduction.find(EXPERIMENTS | STUDIES, name)
