"""Words for every figure: under which heading it stands, and how to read it."""

# Kinds of figures in the order of the page; the first word of a figure's name.
HEADINGS = {
    "speedup": "Verdicts",
    "latency": "Latency and throughput",
    "error": "Speed against numeric error",
    "memory": "Memory",
    "roofline": "Roofline",
    "compile": "When compiling pays off",
    "trend": "History",
}
# Those that the page shows as figures; the other kinds' rows themselves stand there.
FIGURES = ("error", "roofline", "compile", "trend")
_CAPTIONS = {
    "speedup": "Right of ×1 is faster than the baseline. Lines are 95 % intervals over processes, "
    "the band is what is too little to choose by, hollow marks are the baseline against its own "
    "copy.",
    "latency": "Time of one call, which is one batch, with its 95 % interval over processes.",
    "error": "Relative error of the output against float64, and speed-up over the baseline. Arms "
    "on a line are beaten by no other in both.",
    "memory": "Peak of live tensors in one call (● measured, ○ predicted), and of the whole "
    "process (|).",
    "roofline": "Operations a second against operations per byte, below what this machine was "
    "seen to reach in the same run. The share of the limit in the table comes from alternating "
    "pairs, so that it is free of what the machine did meanwhile.",
    "compile": "Total time against images processed: what compiling costs first, and after how "
    "many images it has paid off.",
    "trend": "Time of each arm as a multiple of the yardstick's, run by run; lasting changes are "
    "marked with their size, and the runs among which they lie with 95 % confidence are shaded.",
}


def kind(name: str) -> str:
    """What a figure of this name shows: ``speedup`` of ``speedup-cpu-patcher``."""
    return name.partition("-")[0]


def heading(name: str) -> str:
    """Short name of a figure: ``Verdicts, cpu patcher``."""
    first, _, rest = name.partition("-")
    return f"{HEADINGS[first]}, {rest.replace('-', ' ')}" if rest else HEADINGS[first]


def caption(name: str) -> str:
    """How to read a figure."""
    return _CAPTIONS[kind(name)]
