"""Runs side by side whose choices agree in every way that there is."""

from bench.analysis.aim import Situation
from bench.analysis.decision import BEST
from bench.analysis.regret import Rival
from bench.analysis.run_agreement import ChoicePair, Coverage, RunAgreement
from bench.records.comparison import DELTA, Arm
from bench.report.report_data import AgreementData, RunLabel
from helpers.records import make_record

SDPA = Arm(attention="sdpa")
BF16 = Arm(precision="bf16")
BOTH = Arm(attention="sdpa", precision="bf16")
LABELS = tuple(
    RunLabel(
        folder=f"results/{name}", commit="0123456789abcdef", has_changes=changed, started=started
    )
    for name, changed, started in (
        ("a", False, "2026-01-02T03:04:05+00:00"),
        ("b", True, "2026-01-02T05:06:07+00:00"),
        ("c", False, "2026-01-03T05:06:07+00:00"),
    )
)


def choice(
    batch_size: int,
    first: Arm | None,
    second: Arm | None,
    *gains: tuple[float, float] | None,
) -> ChoicePair:
    """Build two choices in a situation, and what the second gains by each run, with its error."""
    rivals = [
        None if each is None else Rival(arm="", log_gain=each[0], error=each[1]) for each in gains
    ]
    return ChoicePair(
        situation=Situation(
            device="cpu",
            variant="B/16",
            patch_size=16,
            image_size=224,
            mode="forward",
            batch_size=batch_size,
        ),
        level=BEST,
        arms=(first, second),
        gains=(rivals[0], rivals[1]) if rivals else (None, None),
        delta=DELTA,
    )


# Batches 1 to 32: the same, within delta, perhaps beyond it, beyond it, unknown twice.
CHOICES = (
    choice(1, BF16, BF16),
    choice(2, BF16, BOTH, (0.004, 0.003), (0.006, 0.003)),
    choice(4, BF16, BOTH, (0.015, 0.01), None),
    choice(8, Arm(), BF16, (0.7, 0.02), (0.68, 0.02)),
    choice(16, SDPA, Arm(), None, None),
    choice(32, None, BF16),
)
OPPOSITE = (make_record(), make_record(verdict="slower"))


def make_agreement(*choices: ChoicePair) -> RunAgreement:
    """Build the agreement of two runs with forty candidates."""
    return RunAgreement(
        choices=choices or CHOICES,
        only_once=1,
        coverages=(Coverage(40, 33, 33.4), Coverage(40, 36, 34.1)),
        opposite=(OPPOSITE,),
    )


def two_runs(*choices: ChoicePair) -> AgreementData:
    """Build two runs of one commit side by side."""
    return AgreementData(runs=LABELS[:2], pairs={(0, 1): make_agreement(*choices)})


def three_runs() -> AgreementData:
    """Build three runs: the first two agree, the third chooses otherwise."""
    alike = make_agreement(choice(1, BF16, BF16))
    first = make_agreement(choice(1, BF16, BOTH, (0.004, 0.003), None))
    second = make_agreement(choice(1, BF16, BOTH, None, (0.05, 0.005)))
    return AgreementData(
        runs=LABELS,
        pairs={(0, 1): alike, (0, 2): first, (1, 2): second},
        warnings=("run 1 and run 3 differ in torch (2.9.0 against 2.15.0)",),
    )
