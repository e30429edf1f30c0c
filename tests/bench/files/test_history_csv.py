"""bench.files.history_csv: each run is added once, reads back unchanged, and never in part."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.files.history_csv import HISTORY_COLUMNS, Point, append, points, read, series_name
from bench.records.comparison import CHOICE
from bench.records.errors import InputError
from helpers.records import make_environment, make_record

STICK = {"yardstick_ratio": 0.4, "yardstick_low": 0.39, "yardstick_high": 0.41}
ROW = make_record(**STICK)


def points_of(run_id: str, ratio: float = 0.4) -> list[Point]:
    """Return the history points of a run with one arm."""
    row = replace(ROW, run_id=run_id, yardstick_ratio=ratio)
    return points([row], make_environment(), "2026-01-02T03:04:05+00:00")


def test_the_columns_are_frozen() -> None:
    """The columns of a history do not change: histories are kept in git."""
    assert ",".join(HISTORY_COLUMNS) == (
        "schema,time,commit,run_id,device,device_name,torch,series,ratio,low,high,"
        "threads,cpu_flags,baseline,baseline_ratio,baseline_low,baseline_high"
    )


def test_runs_round_trip(tmp_path: Path) -> None:
    """Appended runs read back in order; the file has one header, in a folder made for it."""
    path = tmp_path / "new" / "history.csv"
    append(path, points_of("one"))
    append(path, points_of("two", 0.5))
    assert read(path) == [*points_of("one"), *points_of("two", 0.5)]
    assert path.read_text().count("schema,") == 1
    assert [each.name for each in path.parent.iterdir()] == ["history.csv"]


def test_a_run_counts_once(tmp_path: Path) -> None:
    """Adding a run a second time is an error and leaves the file unchanged."""
    path = tmp_path / "history.csv"
    append(path, points_of("one"))
    before = path.read_text()
    with pytest.raises(InputError, match="has run 'one' already"):
        append(path, [*points_of("two"), *points_of("one")])
    assert path.read_text() == before


def test_only_yardstick_ratios_enter_a_history() -> None:
    """Rows without a yardstick ratio, failed rows and choices are left out of a history."""
    rows = [
        ROW,
        replace(ROW, yardstick_ratio=None),
        replace(ROW, status="wrong"),
        replace(ROW, factor=CHOICE),
    ]
    (only,) = points(rows, make_environment(), "2026")
    assert (only.ratio, only.low, only.high) == (0.4, 0.39, 0.41)
    assert (only.torch, only.device_name, only.commit) == ("2.9.0", ROW.device_name, ROW.commit)


def test_series_names_are_distinct() -> None:
    """A series name has every field of its arm, except the default image size."""
    assert series_name(ROW) == "attention B/16 attention b1 forward cpu manual"
    changes = [{"mode": "train"}, {"batch_size": 8}, {"device": "cuda"}, {"image_size": 384}]
    changes += [{"arm": "sdpa"}, {"variant": "L/16"}, {"component": "block"}, {"factor": "kernel"}]
    names = {series_name(replace(ROW, **change)) for change in changes}  # type: ignore[arg-type]
    assert len(names | {series_name(ROW)}) == len(changes) + 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema,", "scheme,", "is not a history: it lacks the column 'schema'"),
        (",0.4,", ",-0.4,", r"line 2 is not a point of a history \(ratio is -0.4"),
        (",0.4,", ",fast,", "line 2 is not a point of a history"),
        ("\n2,", "\n9,", r"line 2 is not a point of a history \(schema is 9; expected 1 or 2"),
        (",0.39,0.41", "", "line 2 is not a point of a history"),
        (",mha,", ",mha,-", "line 2 is not a point of a history .baseline_ratio is -"),
    ],
)
def test_damaged_history_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """A damaged history raises an error with its line number; nothing is appended to it."""
    path = tmp_path / "history.csv"
    append(path, points_of("one"))
    path.write_text(path.read_text().replace(old, new))
    for use in (lambda: read(path), lambda: append(path, points_of("two"))):
        with pytest.raises(InputError, match=message):
            use()


def test_missing_history_names_the_command(tmp_path: Path) -> None:
    """The error for a missing history names the command that starts one."""
    with pytest.raises(InputError, match="start a history with: vitbench history add"):
        read(tmp_path / "none.csv")


def test_own_arms_have_the_commit_of_their_tree() -> None:
    """A user's own arm has its tree's commit, not vitbench's, and a series name with its inputs."""
    own = replace(ROW, factor="factory", variant=None, inputs="8,197,768", arm="mine.py:make")
    (only,) = points([own], make_environment(), "2026", "c0ffee")
    assert only.commit == "c0ffee"
    assert only.series == "compare 8,197,768 forward cpu mine.py:make"
    (usual,) = points([ROW], make_environment(), "2026", "c0ffee")
    assert usual.commit == ROW.commit


def test_hand_edited_file_loses_nothing(tmp_path: Path) -> None:
    """A missing final line break and reordered columns survive an append."""
    path = tmp_path / "history.csv"
    append(path, points_of("one"))
    header, line = path.read_text().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    path.write_text(",".join(reversed(cells)) + "\n" + ",".join(reversed(cells.values())))
    append(path, points_of("two"))
    assert read(path) == [*points_of("one"), *points_of("two")]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b",surplus\n", "line 2 is not a point .* too many cells"),
    ],
)
def test_damage_is_reported_with_its_line(tmp_path: Path, damage: bytes, message: str) -> None:
    """The error for damaged bytes or surplus cells names the fault, and the line if known."""
    path = tmp_path / "history.csv"
    append(path, points_of("one"))
    path.write_bytes(path.read_bytes().rstrip(b"\n") + damage)
    with pytest.raises(InputError, match=message):
        read(path)


FIRST_SCHEMA = (
    "schema,time,commit,run_id,device,device_name,torch,series,ratio,low,high\n"
    "1,2025-12-31T00:00:00+00:00,c0ffee,old,cpu,AMD EPYC 7B13,2.9.0,a,0.4,0.39,\n"
)


def test_a_history_of_the_first_schema_is_read_and_continued(tmp_path: Path) -> None:
    """An old history has no threads and no baselines; the next run adds the columns."""
    path = tmp_path / "history.csv"
    path.write_text(FIRST_SCHEMA)
    (old,) = read(path)
    assert (old.schema, old.ratio, old.high) == (1, 0.4, None)
    assert (old.threads, old.baseline_ratio, old.kind) == (None, None, "AMD EPYC 7B13")
    append(path, points_of("new"))
    assert read(path) == [old, *points_of("new")]
    header, line, _ = path.read_text().splitlines()
    assert header == ",".join(HISTORY_COLUMNS)
    assert line == f"{FIRST_SCHEMA.splitlines()[1]},,,,,,"


def test_a_column_of_the_user_stays_when_columns_are_added(tmp_path: Path) -> None:
    """A column that is no field keeps its cells, also when an old history gets new columns."""
    path = tmp_path / "history.csv"
    header, line = FIRST_SCHEMA.splitlines()
    path.write_text(f"remark,{header}\nmine,{line}\n")
    append(path, points_of("new"))
    assert [each.partition(",")[0] for each in path.read_text().splitlines()] == [
        "remark",
        "mine",
        "",
    ]
    assert [each.run_id for each in read(path)] == ["old", "new"]


def test_a_kind_of_machine_is_more_than_its_name() -> None:
    """Threads and newest instructions tell processors of one name apart; a GPU is its name."""
    environment = make_environment(threads=4, cpu_flags=("avx2", "avx512f", "avx512_bf16"))
    (many,) = points([ROW], environment, "2026")
    assert many.kind == f"{ROW.device_name}, 4 threads, avx512_bf16"
    assert (many.threads, many.cpu_flags) == (4, "avx2 avx512f avx512_bf16")
    (one,) = points([ROW], make_environment(threads=1, cpu_flags=()), "2026")
    assert (one.kind, one.cpu_flags) == (f"{ROW.device_name}, 1 thread", None)
    gpu = replace(ROW, device="cuda", device_name="NVIDIA H200")
    assert points([gpu], environment, "2026")[0].kind == "NVIDIA H200"


def test_an_arm_has_the_ratio_to_its_baseline() -> None:
    """An arm / its baseline is the inverse of the speed-up; a control has none."""
    row = replace(ROW, baseline="mha", speedup=1.25, speedup_low=1.0, speedup_high=2.0)
    (found,) = points([row], make_environment(), "2026")
    assert (found.baseline, found.baseline_ratio) == ("mha", 0.8)
    assert (found.baseline_low, found.baseline_high) == (0.5, 1.0)
    single = replace(row, speedup_low=None, speedup_high=None)
    (found,) = points([single], make_environment(), "2026")
    assert (found.baseline_ratio, found.baseline_low, found.baseline_high) == (0.8, None, None)
    for other in (replace(row, arm="mha"), replace(row, speedup=None)):
        (found,) = points([other], make_environment(), "2026")
        assert (found.baseline, found.baseline_ratio) == ("mha", None)


@pytest.mark.parametrize(
    ("factor", "precision", "expected"),
    [
        ("attention", "fp32", "attention B/16 attention b1 forward cpu manual"),
        ("attention", "bf16", "attention B/16 attention b1 forward bf16 cpu manual"),
        ("precision", "bf16", "precision B/16 attention b1 forward cpu manual"),
    ],
)
def test_a_part_at_another_precision_is_a_series_of_its_own(
    factor: str, precision: str, expected: str
) -> None:
    """The precision of both arms is part of the name, unless it is what is compared."""
    row = make_record(factor=factor, precision=precision)
    assert series_name(row) == expected
