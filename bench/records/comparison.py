"""Records of comparisons: a pair of arms to measure on a workload. Standard library only."""

from dataclasses import dataclass, fields, replace

SCHEMA = 5

DEVICES = ("cpu", "cuda")
MODES = ("forward", "train")
# Objectives for the choice of an implementation; the first is the default.
OBJECTIVES = ("latency", "throughput", "memory", "energy")
VERDICTS = ("faster", "slower", "equivalent", "undecided")
# State of the caches at a timed call: that of the model (the part is measured inside it), or of a
# part measured alone, with cold or with warm weights.
MODEL = "model"
CACHES = (MODEL, "cold", "warm")
# Those of what is measured alone: pairs, and a user's own arms.
ALONE_CACHES = CACHES[1:]
# Levels of ``compile`` that compile a whole model.
MODEL_ARMS = ("compile", "reduce_overhead", "max_autotune")
# Components that are less than a model.
PARTS = ("patcher", "attention", "block")
# The precision of a user's arm without a chosen type: modules stay as they were made.
OWN = "own"
# Smaller relative differences do not matter for the choice of an implementation.
DELTA = 0.02
# The image size that names leave out.
USUAL_PIXELS = 224


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The work of a call, the same for all arms. Sizes are in pixels; images are square.

    A part of vitcore has a variant and sizes. A user's own arms have ``inputs`` instead: a shape
    such as ``1,197,768``, or ``FILE.py:make_inputs``, a function that returns them.
    """

    component: str
    mode: str
    device: str
    variant: str | None = None
    patch_size: int | None = None
    image_size: int | None = None
    batch_size: int | None = None
    inputs: str | None = None

    def __str__(self) -> str:
        """Part of keys in journals and of pytest's names: ``B/16-model-b1-forward-cpu``."""
        if self.inputs is not None:
            return f"{self.component}-{self.inputs}-{self.mode}-{self.device}"
        return f"{self.variant}-{self.component}-b{self.batch_size}-{self.mode}-{self.device}"

    @property
    def name(self) -> str:
        """Name in tables and in a history: ``B/16 model b1 train``, with an unusual image size."""
        return self._name(self.component)

    @property
    def name_without_component(self) -> str:
        """Name without the component: ``B/16 b1 train``."""
        return self._name("")

    def _name(self, component: str) -> str:
        if self.inputs is not None:
            return f"{self.inputs} {self.mode}"
        is_usual = self.image_size in (None, USUAL_PIXELS)
        pixels = "" if is_usual else f"{self.image_size}px"
        words = (self.variant, component, f"b{self.batch_size}", self.mode, pixels)
        return " ".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One implementation of the work: a level of every factor.

    ``factory`` names a user's own arm (``FILE.py:factory``, ``package.module:factory`` or
    ``vitcore:attention=sdpa``, of another revision with ``@main``); of the other levels only
    ``precision`` then has a meaning: the type of the inputs. ``tree`` is the folder from which it
    is imported, if not the working directory. ``kernel`` pins attention's kernel, which PyTorch
    would select otherwise. ``placebo`` names other code of the same work, which only a calibration
    measures (``bench.suite.placebos``).
    """

    patcher: str = "conv"
    attention: str = "mha"
    compile: str = "eager"
    precision: str = "fp32"
    checkpoint: str = "none"
    optimizer: str = "adamw"
    kernel: str = "auto"
    layout: str = "contiguous"
    factory: str | None = None
    tree: str | None = None
    placebo: str = "none"

    def level(self, factor: str) -> str:
        """Return the arm's level of one factor, its name in a comparison."""
        return str(getattr(self, factor))

    def as_part(self, component: str) -> "Arm":
        """Return the arm for a component: a block has no patcher, and is compiled as a block."""
        if component != "block":
            return self
        compiled = "compile_blocks" if self.compile in MODEL_ARMS else self.compile
        return replace(self, patcher=DEFAULT_ARM.patcher, compile=compiled)

    @property
    def choice(self) -> str:
        """Levels in which the arm is not the default, as ``linear+sdpa+bf16``; else ``plain``."""
        levels = (
            self.level(name) for name in FACTORS if self.level(name) != DEFAULT_ARM.level(name)
        )
        return "+".join(levels) or "plain"


# The baseline of every factor; chosen combinations are compared with it.
DEFAULT_ARM = Arm()
# The factors of ``vitbench compare`` and of chosen combinations; after that of a calibration those
# that a run can vary.
OWN_FACTOR = "factory"
CHOICE = "choice"
PLACEBO = "placebo"
FACTORS = tuple(each.name for each in fields(Arm) if each.name not in (OWN_FACTOR, "tree", PLACEBO))
# Factors that a run measures only on request: they matter once an implementation is chosen.
ASKED_FACTORS = ("kernel", "layout")
USUAL_FACTORS = tuple(name for name in FACTORS if name not in ASKED_FACTORS)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A candidate arm against a baseline arm on one workload; equal arms make a control.

    ``allow_different`` accepts an arm whose outputs differ from its baseline's.
    """

    factor: str
    workload: Workload
    baseline: Arm
    arm: Arm
    cache: str = "cold"
    allow_different: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether the part is measured inside calls of the model."""
        return self.cache == MODEL and self.workload.component in PARTS

    @property
    def group(self) -> str:
        """Name of the comparisons that are measured together: their arms take turns.

        Parts that are measured inside a model share its calls.
        """
        work = self.workload
        if self.baseline.factory is not None:
            return f"{work}-{self.baseline_name}"
        if self.is_inside:
            return f"{replace(work, component='inside')}-{self.baseline.choice}"
        return f"{work}-{self.baseline.choice}"

    @property
    def arm_name(self) -> str:
        """The candidate's level of the factor."""
        return self.arm.level(self.factor)

    @property
    def baseline_name(self) -> str:
        """The baseline's level of the factor."""
        return self.baseline.level(self.factor)

    @property
    def stratum(self) -> str:
        """Name of the comparisons that scatter alike: those of a factor.

        A calibration's are those of a part of the model, as the arms of a run's factors are. A
        combination inside a model is exchanged block by block, as compiled blocks are.
        """
        if self.factor == CHOICE and self.is_inside:
            return "compile"
        return self.workload.component if self.factor == PLACEBO else self.factor

    @property
    def is_control(self) -> bool:
        """Whether the baseline is compared with a copy of itself."""
        return self.arm == self.baseline

    @property
    def key(self) -> str:
        """Name of the comparison, unique within a run."""
        level = self.baseline.precision if self.factor in FACTORS else ""
        return comparison_key(self.factor, self.workload, self.arm_name, level)


def comparison_key(factor: str, workload: Workload, arm: str, precision: str = "") -> str:
    """Return the name of a comparison, unique within a run.

    ``precision`` is that of both arms, where another factor than precision is compared.
    """
    is_usual = factor == "precision" or precision in ("", Arm.precision)
    return f"{factor}-{workload}-{arm}" + ("" if is_usual else f"@{precision}")
