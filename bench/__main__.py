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
    vitbench run --resume RUN       continue an interrupted or killed run
    vitbench compare A B            your own code: FILE.py:factory, or vitcore:attention=sdpa
    vitbench regress --base REV     a gate for pull requests: is this tree slower than REV?
    vitbench calibrate              measure how often verdicts are wrong on this machine
    vitbench simulate               the same on simulated machines
    vitbench report results/RUN     tables, plots and page of a run
    vitbench export results/RUN     a run for other tools: Markdown, JUnit, JSON, CSV
    vitbench history add RUN        keep a run's ratios in a CSV; vitbench trend finds changes
    vitbench memory B/16 L/16       memory of training or inference, predicted and measured
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


class _PipeTolerantStderr:
    """stderr that ignores a closed pipe, so that a run continues without it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, unless the pipe is closed."""
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, unless the pipe is closed."""
        with suppress(OSError):
            self.stream.flush()


def _install_signal_handlers() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C: end the pass and keep its rows.

    Handle SIGHUP once: both the shell and the kernel may send it when a terminal closes. A signal
    that is ignored, as under nohup, stays ignored.
    """

    def hang_up(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        signal.default_int_handler(number, frame)

    for number, handler in ((signal.SIGTERM, signal.default_int_handler), (signal.SIGHUP, hang_up)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _resume_hint(cause: BaseException | None) -> str:
    """Return the command that resumes the interrupted run; empty if its folder is gone."""
    folders = [each for each in cause.args if Path(each).exists()] if cause else []
    return f"; go on with: vitbench run --resume {shlex.quote(folders[0])}" if folders else ""


def main() -> None:
    """Run the command line. An error that a user can fix is one line on stderr and exit code 2."""
    _install_signal_handlers()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # A terminal may lack characters.
    sys.stderr = cast("TextIO", _PipeTolerantStderr(sys.stderr))
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
        click.echo(f"vitbench: interrupted{_resume_hint(cause)}", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
