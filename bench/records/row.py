"""One row of ``results.csv``: the result of one arm over all passes. Standard library only."""

from dataclasses import dataclass, fields

from bench.records.comparison import (
    FACTORS,
    MODEL,
    OWN_FACTOR,
    PARTS,
    Arm,
    Workload,
    comparison_key,
)

# Between the names in a cell of kernels.
KERNEL_SEPARATOR = "; "


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of ``results.csv``: one arm of one comparison over all passes.

    ``None`` is a missing value and an empty cell. ``results/README.md`` holds a table of these
    fields, made from the text below each of them.
    """

    # Where and what
    schema: int
    """Version of these columns."""
    run_id: str
    """Name of the run: its folder's, made from its start time."""
    commit: str | None
    """Git revision of vitbench's own checkout."""
    device: str
    """``cpu`` or ``cuda``."""
    device_name: str
    """Model of the processor or GPU."""
    factor: str
    """What the comparison varies: ``patcher``, ``attention``, ``compile``, ``precision``, …;
    ``choice`` compares the chosen combination, ``factory`` a user's own arms.
    """
    component: str
    """Part of the model that is measured: ``patcher``, ``attention``, ``block`` or ``model``."""
    variant: str | None
    """Size of the Vision Transformer, such as ``B/16``; empty for a user's own arms."""
    patch_size: int | None
    """Side of a patch, in pixels."""
    image_size: int | None
    """Side of an image, in pixels."""
    batch_size: int | None
    """Images per call."""
    mode: str
    """``forward``, or ``train``: forward, backward and optimizer step."""
    precision: str
    """Number format of the arm."""
    cache: str
    """State of the caches: that of the ``model`` inside which the part is measured, or weights
    that are ``cold`` or ``warm``.
    """
    baseline: str
    """Level of the factor that the arm is compared with."""
    arm: str
    """Level of the factor that is measured; equal to ``baseline`` in a control."""

    # What came of it
    status: str
    """``ok``, ``oom``, ``timeout``, ``crashed``, ``wrong`` (error above tolerance) or
    ``skipped``.
    """
    passes: int
    """Processes that measured the arm."""
    rounds: int
    """Rounds, of one call of each arm, over all passes."""
    latency_ms: float | None = None
    """Time of one call, in milliseconds; device time on CUDA."""
    latency_low_ms: float | None = None
    """Lower end of the 95 % interval of ``latency_ms``, in milliseconds."""
    latency_high_ms: float | None = None
    """Upper end of the 95 % interval of ``latency_ms``, in milliseconds."""
    wall_ms: float | None = None
    """Synchronised wall time of the same call, in milliseconds."""
    images_per_s: float | None = None
    """Throughput of calls queued one behind the other, in images per second; on a CPU, where
    nothing queues, batch size / latency.
    """
    speedup: float | None = None
    """Baseline time / arm time, from the same rounds."""
    speedup_low: float | None = None
    """Lower end of the 95 % interval of ``speedup``."""
    speedup_high: float | None = None
    """Upper end of the 95 % interval of ``speedup``."""
    verdict: str | None = None
    """``faster``, ``slower``, ``equivalent`` or ``undecided``."""
    of_whole: float | None = None
    """Relative gain of the whole model's speed by this arm: 0.02 is a model that is 2 % faster."""
    of_whole_low: float | None = None
    """Lower end of the 95 % interval of ``of_whole``."""
    of_whole_high: float | None = None
    """Upper end of the 95 % interval of ``of_whole``."""
    whole_ms: float | None = None
    """Time of one call of the whole model with the baseline, in milliseconds."""
    detectable_effect: float | None = None
    """Smallest relative difference that would have been found in four of five such measurements."""
    p_value: float | None = None
    """Probability of such a difference if there is none; Benjamini-Hochberg adjusted over the
    run.
    """
    output_error: float | None = None
    """Relative norm of the output's error against float64; for a user's own arms against the
    baseline.
    """
    gradient_error: float | None = None
    """Relative norm of the gradients' error, against the same reference."""
    disturbed: int | None = None
    """Rounds that foreign load disturbed."""
    unsteady: str | None = None
    """Arms whose times moved while they were measured, and how far from start to end of a pass."""
    inputs: str | None = None
    """Inputs of a user's own arms: shapes, or the function that makes them."""
    error: str | None = None
    """Reason for a status other than ``ok``, in one line."""
    note: str | None = None
    """Remarks on the row, such as missing hardware support."""

    # What the arm costs, by the survey (``bench.records.arm_costs``)
    largest_error: float | None = None
    """Largest absolute error of an output element."""
    top1_agreement: float | None = None
    """Share of held-out digits that a trained model classifies as it does in float64."""
    allocated_bytes: int | None = None
    """Peak of live tensors in steady state, in bytes."""
    reserved_bytes: int | None = None
    """Peak held by torch's allocator (CUDA), in bytes."""
    process_bytes: int | None = None
    """Peak of a process that only does this, in bytes: the driver's figure, or resident in main
    memory.
    """
    unexplained_bytes: int | None = None
    """Part of the process's peak outside torch's allocator, in bytes."""
    predicted_bytes: int | None = None
    """Peak of live tensors predicted from shapes alone, in bytes."""
    prediction_error: float | None = None
    """Predicted / measured peak of live tensors - 1."""
    memory_ratio: float | None = None
    """Peak of live tensors / the baseline's."""
    flop: float | None = None
    """Floating-point operations of one call, by arithmetic."""
    moved_bytes: float | None = None
    """Least memory traffic of one call, by arithmetic, in bytes."""
    gflop_per_s: float | None = None
    """Achieved speed, in 10⁹ floating-point operations per second."""
    limit_gflop_per_s: float | None = None
    """Speed of its matrix products alone, each by the fastest library here for it, or of the
    fastest arm if no library reaches it: ``gflop_per_s`` / ``limit_share``, in 10⁹ floating-point
    operations per second.
    """
    limit_share: float | None = None
    """Time of its matrix products alone / time of the arm, from alternating pairs; at most 1."""
    limit_share_low: float | None = None
    """Lower end of the 95 % interval of ``limit_share``: passes, and one process of the limit."""
    limit_share_high: float | None = None
    """Upper end of the 95 % interval of ``limit_share``."""
    limit_library: str | None = None
    """Libraries that computed its matrix products fastest, or the arm that is faster."""
    copy_gb_per_s: float | None = None
    """Bandwidth of copying memory, reads and writes, in 10⁹ bytes per second."""
    compile_cold_s: float | None = None
    """Loading the compiler and the first call with an empty disk cache, in seconds."""
    compile_warm_s: float | None = None
    """Loading the compiler and the first call with a filled disk cache, in seconds."""
    graph_breaks: int | None = None
    """Breaks of the compiler's graph."""
    recompiles: int | None = None
    """Recompilations for batches of 1, 2, 8 and 1 images in turn."""
    break_even_images: float | None = None
    """Images after which compiling has paid off; ``inf``: never."""
    break_even_low_images: float | None = None
    """Lower end of the 95 % interval of ``break_even_images``, in images."""
    break_even_high_images: float | None = None
    """Upper end of the 95 % interval of ``break_even_images``, in images."""
    kernels: str | None = None
    """Kernels that the call dispatched."""
    joules_per_image: float | None = None
    """Energy of the whole device per image, in joules."""
    throughput_ratio: float | None = None
    """Time of a queued call of the baseline / of the arm; empty on a CPU, where nothing queues."""
    throughput_low: float | None = None
    """Lower end of the 95 % interval of ``throughput_ratio``."""
    throughput_high: float | None = None
    """Upper end of the 95 % interval of ``throughput_ratio``."""
    compile_extra_bytes: int | None = None
    """Peak of a compiled arm's process beyond its baseline's, in bytes."""
    parameters: int | None = None
    """Trainable numbers of the arm."""
    yardstick_ms: float | None = None
    """Time of one call of the yardstick in the same passes, in milliseconds."""
    yardstick_ratio: float | None = None
    """Arm time / yardstick time, pass by pass."""
    yardstick_low: float | None = None
    """Lower end of the 95 % interval of ``yardstick_ratio``."""
    yardstick_high: float | None = None
    """Upper end of the 95 % interval of ``yardstick_ratio``."""
    pooled_speedup: float | None = None
    """``speedup`` by all workloads of an arm together, shrunk as far as these agree; attention and
    compile only.
    """
    pooled_low: float | None = None
    """Lower end of the 95 % interval of ``pooled_speedup``."""
    pooled_high: float | None = None
    """Upper end of the 95 % interval of ``pooled_speedup``."""

    @property
    def workload(self) -> Workload:
        """Workload of the row."""
        return Workload(
            component=self.component,
            mode=self.mode,
            device=self.device,
            variant=self.variant,
            patch_size=self.patch_size,
            image_size=self.image_size,
            batch_size=self.batch_size,
            inputs=self.inputs,
        )

    @property
    def key(self) -> str:
        """Name of the row's comparison, unique within a run."""
        return comparison_key(self.factor, self.workload, self.arm, self.common_precision)

    @property
    def common_precision(self) -> str:
        """The precision of both arms, where it is neither compared nor the usual one; else empty.

        A user's own arms name theirs themselves.
        """
        is_compared = self.factor == "precision" or self.factor not in FACTORS
        is_usual = self.precision == Arm.precision
        return "" if is_compared or is_usual else self.precision

    @property
    def factor_name(self) -> str:
        """Name of the factor in tables and in a history: ``compare`` for a user's own arms."""
        return "compare" if self.factor == OWN_FACTOR else self.factor

    @property
    def is_control(self) -> bool:
        """Whether the row is the baseline against its own copy."""
        return self.arm == self.baseline

    @property
    def is_inside(self) -> bool:
        """Whether the part was measured inside calls of the model."""
        return self.cache == MODEL and self.component in PARTS

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The names of the kernels; none if there were none or they are unknown."""
        return tuple(self.kernels.split(KERNEL_SEPARATOR)) if self.kernels else ()

    @property
    def is_usual(self) -> bool:
        """Whether the arm has the usual level of every factor, so that all of them share it."""
        return self.factor in FACTORS and self.arm == Arm().level(self.factor)


COLUMNS = tuple(each.name for each in fields(Record))
