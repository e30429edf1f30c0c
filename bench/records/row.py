"""One row of ``results.csv``: what all passes of a run say of an arm. Standard library only."""

from dataclasses import dataclass, fields

from bench.records.comparison import FACTORS, Arm


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of ``results.csv``: one arm of one comparison over all passes.

    ``None`` is a missing value and stays empty in the file. ``latency_ms`` is the time of one
    call (device time on CUDA), ``wall_ms`` the synchronised wall time of the same call;
    intervals are 95 %. ``images_per_s`` is the throughput of calls queued one behind the other
    (on a CPU nothing queues: batch size / latency). ``speedup`` is baseline time / arm time.
    ``output_error`` and ``gradient_error`` are relative norms against float64, or for a user's own
    arms against the baseline. ``passes`` and ``rounds`` count the processes and, over all of them,
    the pairs; ``cache`` says whether the last-level cache was flushed before each pair (``cold``).
    ``detectable_effect`` is the smallest relative difference that the measurement would have found
    four times in five; ``p_value`` is that of no difference, adjusted for the number of comparisons
    (Benjamini-Hochberg). ``disturbed`` counts the pairs that foreign load disturbed; ``unsteady``
    names what had not settled, and in how many passes. ``error`` says in one line why a status is
    not ``ok``, ``note`` what a reader should know of the hardware. ``inputs`` are those of a user's
    own arms, which have no variant and sizes.

    What the choice costs, by one look at the arm alone (``bench.records.arm_costs``) unless said
    otherwise: ``largest_error`` is the largest absolute error of an output, ``top1_agreement`` the
    share of held-out digits that a trained model classifies as it does in float64. Peaks of memory
    in steady state: ``allocated_bytes`` of live tensors, ``reserved_bytes`` of torch's allocator
    (CUDA), ``process_bytes`` of a process that does this alone (the driver's figure, or resident in
    main memory), ``unexplained_bytes`` the rest;
    ``predicted_bytes`` by shapes alone, ``prediction_error`` relative to what was allocated,
    ``memory_ratio`` allocated / the baseline's. ``flop`` are the operations of one call by
    arithmetic, ``moved_bytes`` what it must move at least; ``gflop_per_s`` is what was achieved,
    ``limit_gflop_per_s`` and ``limit_library`` what the same products alone reach by the fastest
    library, ``limit_share`` the time that they take / the arm's, ``copy_gb_per_s`` the bandwidth
    of copying. ``compile_cold_s`` and ``compile_warm_s`` are loading the compiler and the first
    call, without and with its cache on disk; after ``break_even_images`` compiling has paid off
    (``inf``: never), with its 95 % interval. ``recompiles`` are those for batches of 1, 2, 8, 1.
    ``kernels`` are what the call dispatched, ``joules_per_image`` is of the whole device.
    ``throughput_ratio`` is the baseline's time a queued call / the arm's, with its 95 % interval;
    empty on a CPU, where nothing queues. ``compile_extra_bytes`` is what the process of a compiled
    arm has at its peak beyond its baseline's, ``parameters`` how many numbers can be trained.
    ``yardstick_ms`` is a call of the yardstick in the same passes, ``yardstick_ratio`` the arm's
    time / the yardstick's, pass by pass, with its 95 % interval.
    """

    schema: int
    run_id: str
    commit: str | None
    device: str
    device_name: str
    factor: str
    component: str
    variant: str | None
    patch_size: int | None
    image_size: int | None
    batch_size: int | None
    mode: str
    precision: str
    cache: str
    baseline: str
    arm: str
    status: str
    passes: int
    rounds: int
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    wall_ms: float | None = None
    images_per_s: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    verdict: str | None = None
    detectable_effect: float | None = None
    p_value: float | None = None
    output_error: float | None = None
    gradient_error: float | None = None
    disturbed: int | None = None
    unsteady: str | None = None
    inputs: str | None = None
    error: str | None = None
    note: str | None = None
    largest_error: float | None = None
    top1_agreement: float | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    process_bytes: int | None = None
    unexplained_bytes: int | None = None
    predicted_bytes: int | None = None
    prediction_error: float | None = None
    memory_ratio: float | None = None
    flop: float | None = None
    moved_bytes: float | None = None
    gflop_per_s: float | None = None
    limit_gflop_per_s: float | None = None
    limit_share: float | None = None
    limit_library: str | None = None
    copy_gb_per_s: float | None = None
    compile_cold_s: float | None = None
    compile_warm_s: float | None = None
    graph_breaks: int | None = None
    recompiles: int | None = None
    break_even_images: float | None = None
    break_even_low_images: float | None = None
    break_even_high_images: float | None = None
    kernels: str | None = None
    joules_per_image: float | None = None
    throughput_ratio: float | None = None
    throughput_low: float | None = None
    throughput_high: float | None = None
    compile_extra_bytes: int | None = None
    parameters: int | None = None
    yardstick_ms: float | None = None
    yardstick_ratio: float | None = None
    yardstick_low: float | None = None
    yardstick_high: float | None = None

    @property
    def is_control(self) -> bool:
        """Whether the row is the baseline against its own copy."""
        return self.arm == self.baseline

    @property
    def is_usual(self) -> bool:
        """Whether the arm has the usual level of every factor: it is the same under all of them."""
        return self.factor in FACTORS and self.arm == Arm().level(self.factor)


COLUMNS = tuple(each.name for each in fields(Record))
