"""The command line: ``vitbench`` is ``python -m bench``."""

import io
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, cast

import click

from bench.cli.calibrate import calibrate, simulate
from bench.cli.compare import compare
from bench.cli.history import history, trend
from bench.cli.memory import memory
from bench.cli.model import shapes, summary
from bench.cli.profiling import profile
from bench.cli.regress import regress
from bench.cli.report import export, report
from bench.cli.run import run
from bench.records.errors import InputError, RunError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="vitbench")
def cli() -> None:
    """Which patcher, attention, compile mode and precision for your Vision Transformer?

    \b
    vitbench run --quick            B/16 on this machine in under two minutes
    vitbench run                    B, L and H in about ten minutes
    vitbench run --resume RUN       go on with a run that was ended, however it was
    vitbench compare A B            your own code: FILE.py:factory, or vitcore:attention=sdpa
    vitbench regress --base REV     did this tree become slower? a gate for pull requests
    vitbench calibrate              how often verdicts are wrong on this machine
    vitbench simulate               the same for simulated machines
    vitbench report results/RUN     tables and plots of a run again
    vitbench export results/RUN     the same for other tools: Markdown, JUnit, JSON, CSV
    vitbench history add RUN        keep a run's ratios in a CSV; vitbench trend tells what changed
    vitbench memory B/16 L/16       what training or inference takes of memory
    vitbench profile B/16           where the time of one call goes
    vitbench shapes B/16            the shape after every step of the model
    vitbench summary B/16           layers, parameters and FLOPs
    """  # noqa: D301 (click wants the character itself)


for command in (
    run,
    compare,
    regress,
    calibrate,
    simulate,
    report,
    export,
    history,
    trend,
    memory,
    profile,
    shapes,
    summary,
):
    cli.add_command(command)


class _Unread:
    """Standard error that somebody may cease to read: a run goes on without, to the end."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write where somebody reads."""
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush where somebody reads."""
        with suppress(OSError):
            self.stream.flush()


def _obey() -> None:
    """What ends a run from outside interrupts it like Ctrl-C: it stops its pass and keeps rows.

    A closed terminal does so once; the shell and the kernel may both tell of it. A signal that is
    ignored, as under nohup, stays ignored.
    """

    def hang_up(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        signal.default_int_handler(number, frame)

    for number, handler in ((signal.SIGTERM, signal.default_int_handler), (signal.SIGHUP, hang_up)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _way_on(cause: BaseException | None) -> str:
    """How to finish the run whose folder an interrupt names, where that was not a temporary one."""
    folders = [each for each in cause.args if Path(each).exists()] if cause else []
    return f"; go on with: vitbench run --resume {shlex.quote(folders[0])}" if folders else ""


def main() -> None:
    """Run the command line. What a user can mend is one line on standard error and exit code 2."""
    _obey()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # An old terminal may not have every sign.
    sys.stderr = cast("TextIO", _Unread(sys.stderr))
    try:
        code = cli.main(standalone_mode=False)
    except (click.ClickException, InputError, RunError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"vitbench: {text}", err=True)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"vitbench: {where}{error.strerror}; check permissions and space", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        click.echo(f"vitbench: interrupted{_way_on(cause)}", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
