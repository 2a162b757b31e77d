"""Experiments as data: every row of the paper's tables, and ours, with the paper's figures.

Notebooks: 03 note discovery, 04 note properties.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from musiclib import reproduction
from musiclib.musicslots.baselines import AutoEncoderConfig, ClassifierConfig
from musiclib.musicslots.model import MusicSlotsConfig
from musiclib.reproduction import Study
from musiclib.training import TrainingConfig

SMALL_INPUT = {"frames": 16, "channels": 64, "width": 64, "db_offset": -30.0, "db_scale": 30.0}
SMALL = MusicSlotsConfig(slots=5, dilation=(1, 2, 4, 8), init="spread", decoder="mlp", **SMALL_INPUT)
MODELS: dict[str, dict[str, Any]] = {  # kind → size → configuration; a probe has the width of what it probes
    "slots": {"small": SMALL, "short": MusicSlotsConfig(), "paper": MusicSlotsConfig()},
    "autoencoder": {
        "small": AutoEncoderConfig(decoder="mlp", **SMALL_INPUT),
        "short": AutoEncoderConfig(),
        "paper": AutoEncoderConfig(),
    },
    "classifier": {
        "small": ClassifierConfig(**SMALL_INPUT),
        "short": ClassifierConfig(),
        "paper": ClassifierConfig(),
    },
}
PROPERTY_TRAINING = TrainingConfig(10_000, learning_rate=1e-3, clip_norm=None, evaluate_every=2500)
TRAINING = {
    "slots": {
        "small": TrainingConfig(8_000, learning_rate=1e-3, warmup=300, clip_norm=100.0),
        "short": TrainingConfig(10_000, learning_rate=1e-4, warmup=1000, decay_steps=50_000),
        "paper": TrainingConfig(100_000, learning_rate=1e-4, warmup=10_000, decay_steps=500_000),
    },
    "autoencoder": {
        "small": TrainingConfig(7_000, learning_rate=1e-3, warmup=300),
        "short": TrainingConfig(10_000, learning_rate=1e-4),
        "paper": TrainingConfig(100_000, learning_rate=1e-4),
    },
    "classifier": {
        "small": replace(PROPERTY_TRAINING, clip_norm=0.1),
        "short": replace(PROPERTY_TRAINING, clip_norm=0.1),
        "paper": replace(PROPERTY_TRAINING, clip_norm=0.1),
    },
    "probe": {  # at the paper's learning rate the small latents' probes are far from done; chosen on validation chords
        "small": TrainingConfig(4_000, batch=256, learning_rate=3e-2, clip_norm=None),
        "short": PROPERTY_TRAINING,
        "paper": PROPERTY_TRAINING,
    },
}


@dataclass(frozen=True)
class Adjustment:
    """How an experiment departs from others of its size.

    Attributes:
        model, training: changed fields. starts_from: the experiment whose trained weights it starts from.
        test_chords: score at most so many of the test split, spread evenly over it.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    starts_from: str | None = None
    test_chords: int | None = None


@dataclass(frozen=True)
class Experiment:
    """One row of a table.

    Attributes:
        table: where it belongs. dataset: see `chords.examples`.
        kind: "slots", "autoencoder" or "classifier", which are trained; "probe", a linear layer on the frozen model of
            experiment `on`; "resized", that model with other numbers of slots; or "whole", which separates nothing.
        changes: to the model of its size. small: what else is different at the small size, which has one CPU.
        front_end: "mel" or "cqt".
        sizes: at which it is worth its cost.
        paper: the paper's figures: (note MSE, mIoU) on the test split, or accuracies in % on validation and test.
        ships: whether the trained small weights are part of the course.
    """

    name: str
    table: str
    dataset: str
    kind: str = "slots"
    changes: dict[str, Any] = field(default_factory=dict)
    on: str | None = None
    small: Adjustment = Adjustment()
    front_end: str = "mel"
    sizes: tuple[str, ...] = ("small", "short", "paper")
    paper: tuple[float, float] | None = None
    ships: bool = False

    def adjustment(self, size: str) -> Adjustment:
        return self.small if size == "small" else Adjustment()

    def model_config(self, size: str) -> Any:
        sizes = MODELS["slots" if self.kind == "whole" else self.kind]
        return replace(sizes[size], **(self.changes | self.adjustment(size).model))

    def training_config(self, size: str, seed: int = 0) -> TrainingConfig:
        if self.kind in ("resized", "whole"):
            return TrainingConfig(0, seed=seed)
        return replace(TRAINING[self.kind][size], seed=seed, **self.adjustment(size).training)

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"musicslots-{self.name}-{size}" + (f"-seed{seed}" if seed else "")

    def needs(self, size: str) -> str | None:
        """The experiment that must have been run before this one."""
        return self.on or self.adjustment(size).starts_from


# ------------------------------------------------------------------------------------------------- note discovery

NOTE_DISCOVERY = {  # tables 1 and 14: note MSE and mIoU, in the order in which `reproduce` runs them
    ("JazzNet-multi", "none"): (19.95, 0.90),
    ("JSB-multi", "none"): (13.47, 0.91),
    ("JazzNet-single", "none"): (44.49, 0.76),
    ("JSB-single", "none"): (22.44, 0.81),
    ("JazzNet-multi", "softmax"): (33.58, 0.84),
    ("JSB-multi", "softmax"): (59.34, 0.79),
    ("JazzNet-single", "softmax"): (114.09, 0.63),
    ("JSB-single", "softmax"): (75.32, 0.68),
    ("JazzNet-multi", "sigmoid"): (18.53, 0.91),
    ("JSB-multi", "sigmoid"): (13.07, 0.90),
    ("JazzNet-single", "sigmoid"): (49.05, 0.75),
    ("JSB-single", "sigmoid"): (18.21, 0.83),
}
SHIPPED = ("jazznet-single-none", "jazznet-multi-softmax")


def _note_discovery(dataset: str, mask: str, figures: tuple[float, float]) -> Experiment:
    """At the small size three instruments are learned after one: a curriculum, and half the steps."""
    name = f"{dataset.lower()}-{mask}"
    curriculum = Adjustment(
        training={"steps": 4000, "learning_rate": 5e-4}, starts_from=name.replace("multi", "single")
    )
    return Experiment(
        name, "note discovery", dataset, changes={"mask": mask}, paper=figures, ships=name in SHIPPED,
        small=curriculum if dataset.endswith("multi") else Adjustment(),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- ablation

DEFAULT = {"mask": "softmax", "implicit": False, "stride": (1, 1)}  # slot attention as it was made for images
ABLATION = {  # table 15
    ("JazzNet-multi", "default"): (DEFAULT, (70.05, 0.70)),
    ("JazzNet-multi", "stride"): (DEFAULT | {"stride": (1, 2)}, (51.31, 0.76)),
    ("JazzNet-multi", "nomask"): (DEFAULT | {"mask": "none"}, (39.08, 0.79)),
    ("JazzNet-multi", "implicit"): (DEFAULT | {"implicit": True}, (32.56, 0.83)),
    ("JazzNet-multi", "all"): ({}, (19.95, 0.90)),
    ("JSB-multi", "default"): (DEFAULT, (100.77, 0.60)),
    ("JSB-multi", "stride"): (DEFAULT | {"stride": (1, 2)}, (60.22, 0.76)),
    ("JSB-multi", "nomask"): (DEFAULT | {"mask": "none"}, (40.06, 0.78)),
    ("JSB-multi", "implicit"): (DEFAULT | {"implicit": True}, (59.34, 0.79)),
    ("JSB-multi", "all"): ({}, (13.47, 0.91)),
}
BRIEF = Adjustment(training={"steps": 1500, "batch": 16}, test_chords=5000)


def _ablation(dataset: str, name: str, changes: dict, figures: tuple[float, float]) -> Experiment:
    """`all` is the paper's own model, which only the small size has to train again, as briefly as the others."""
    return Experiment(
        f"{dataset.lower()}-ablation-{name}", "ablation", dataset, changes=changes, small=BRIEF, paper=figures,
        sizes=("small",) if name == "all" else ("small", "short", "paper"),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ note properties

AUTOENCODERS = {  # name → changes, with tables 2 and 16's accuracies in %, validation and test, JSB then JazzNet
    "autoencoder": ({}, ((95.02, 93.62), (92.91, 71.37))),
    "vae": ({"beta": 1.0}, ((96.66, 96.21), (94.37, 71.55))),
    "vae-beta0.5": ({"beta": 0.5}, ((97.85, 97.42), (97.00, 81.53))),
    "vae-beta2": ({"beta": 2.0}, ((92.23, 90.74), (73.93, 47.90))),
    "vae-beta4": ({"beta": 4.0}, ((82.07, 78.95), (47.51, 11.31))),
}
CNN = ((93.49, 93.03), (96.47, 71.22))
SLOTS_PROBED = ((98.13, 97.77), (98.96, 87.65))
MULTI = ("JSB-multi", "JazzNet-multi")


def _note_properties(number: int, dataset: str) -> list[Experiment]:
    base, table = dataset.lower(), "note properties"
    rows = [Experiment(f"{base}-probe", table, dataset, "probe", on=f"{base}-none", paper=SLOTS_PROBED[number])]
    for name, (changes, figures) in AUTOENCODERS.items():
        rows += _autoencoder(dataset, name, changes | {"beta_unit": "released"}, figures[number])
    return [*rows, Experiment(f"{base}-cnn", table, dataset, "classifier", paper=CNN[number])]


def _autoencoder(dataset: str, name: str, changes: dict, figures: tuple[float, float] | None) -> list[Experiment]:
    """An auto-encoder, and the probe on it."""
    name = f"{dataset.lower()}-{name}"
    return [
        Experiment(name, "auto-encoders", dataset, "autoencoder", changes, ships=name == "jazznet-multi-vae-beta0.5"),
        Experiment(f"{name}-probe", "note properties", dataset, "probe", on=name, paper=figures),
    ]


# ----------------------------------------------------------------------------------------------------------- ours

CURRICULUM = Experiment(
    "jazznet-multi-curriculum", "note discovery", "JazzNet-multi", sizes=("small",), ships=True,
    small=Adjustment(
        training={"steps": 30_000, "learning_rate": 5e-4, "evaluate_every": 2000}, starts_from="jazznet-single-none"
    ),
    paper=NOTE_DISCOVERY["JazzNet-multi", "none"],
)  # fmt: skip
VARIANTS = {  # each against "reference" in the same number of steps
    "reference": {},
    "attention-paper": {"attention": "paper"},
    "shared-init": {"shared_init": True},
    "train-init": {"train_init": True},
    "shared-train-init": {"shared_init": True, "train_init": True},
}
EXTENSIONS = [
    Experiment(
        "jazznet-multi-resnet18", "note properties", "JazzNet-multi", "classifier", {"backbone": "resnet18"},
        small=Adjustment(training={"steps": 1000}),
    ),
    *_autoencoder("JazzNet-multi", "vae-unconverted", {"beta": 1.0, "beta_unit": "paper"}, None),
    *(
        Experiment(
            f"jazznet-single-{name}", "variants", "JazzNet-single", changes=changes,
            small=Adjustment(training={"steps": 1500}),
        )
        for name, changes in VARIANTS.items()
    ),
    Experiment(
        "jazznet-single-cqt", "variants", "JazzNet-single", changes={"bands": 112}, front_end="cqt",
        small=Adjustment(training={"steps": 1500}),
    ),
    Experiment(
        "jazznet-single-long-window", "variants", "JazzNet-single", changes={"frames": 64},
        small=Adjustment(model={"frames": 32}, training={"steps": 1500}),
    ),
]  # fmt: skip
RATES = [  # the published command's default, and the paper's
    Experiment(
        f"jazznet-single-rate-{rate}", "variants", "JazzNet-single", sizes=("small",),
        small=Adjustment(training={"steps": 1500, "learning_rate": float(rate)}),
    )
    for rate in ("3e-4", "1e-4")
]  # fmt: skip
RESIZED = [  # more slots than trained: seven or eleven in the paper's model of seven, five in the small one
    Experiment(
        f"jazznet-multi-{more}-more-slots", "more slots", "JazzNet-multi", "resized", {"slots": 7 + more},
        on="jazznet-multi-none", small=Adjustment(model={"slots": 5 + more}, test_chords=10_000),
    )
    for more in (0, 2, 4)
]  # fmt: skip

FLOORS = [
    Experiment(f"{dataset.lower()}-not-separated", "note discovery", dataset, "whole")
    for dataset in dict.fromkeys(dataset for dataset, _ in NOTE_DISCOVERY)
]

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        *(_note_discovery(*row, figures) for row, figures in NOTE_DISCOVERY.items()),
        *FLOORS,
        *(_ablation(*row, *rest) for row, rest in ABLATION.items()),
        *(row for number, dataset in enumerate(MULTI) for row in _note_properties(number, dataset)),
        CURRICULUM,
        Experiment(
            "jazznet-multi-curriculum-probe", "note properties", "JazzNet-multi", "probe", on=CURRICULUM.name,
            sizes=("small",), ships=True, paper=SLOTS_PROBED[1],
        ),
        *EXTENSIONS,
        *RATES,
        *RESIZED,
    )
}  # fmt: skip
STUDIES = {
    study.name: study
    for study in (
        Study("musicslots", "slots-and-iterations", *2 * ("slots and iterations",), CURRICULUM.name, ("small",)),
    )
}


def shown(size: str) -> Experiment:
    """The experiment whose model the notebooks show: the paper's, or at the small size the best of ours."""
    return EXPERIMENTS[CURRICULUM.name if size == "small" else "jazznet-multi-none"]


def find(name: str) -> Experiment | Study:
    """An experiment by name; see `reproduction.find`."""
    return reproduction.find(EXPERIMENTS | STUDIES, name)
