"""The command line: arguments to settings, and what to do with them; exit statuses."""

import argparse
import asyncio
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zeek_agent_core import __version__
from zeek_agent_core import config as settings
from zeek_agent_core.arguments import Parser
from zeek_agent_core.config import Config
from zeek_agent_core.errors import AgentError, ConfigError

MODES = ("auto", "table", "line", "csv", "json", "jsonl", "markdown")
OK, FAILED = 0, 1
COMMANDS = {
    "service": "zeek_agent_core.service.command",
    "selftest": "zeek_agent_core.selftest",
}
"""First words that are uses of their own, and the modules whose `main` takes the rest."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a write fails with where the disk, and not the agent, is to blame."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = Parser(
        prog="zeek-agent",
        description="Offer this host to Zeek, and to SQL.",
        epilog="zeek-agent service: run as a service of the system. "
        "zeek-agent selftest: try all tables on this host.",
    )
    add = made.add_argument
    # fmt: off
    add("-D", "--autodoc", action="store_true", help="print the schemas of all tables as JSON")
    add("-L", "--log-level", metavar="LEVEL", help="least level that is logged (default: info)")
    add("-M", "--use-mock-data", action="store_true", help="make all tables return made-up rows")
    add("-N", "--terminate-on-disconnect", action="store_true",
        help="end when an established connection to Zeek goes down")
    add("-T", "--test", action="store_true", help="check every table on this host")
    add("-c", "--config", metavar="FILE", type=Path, help="configuration file")
    add("--check-config", action="store_true", help="check the configuration and its queries")
    add("--check-policy", metavar="SQL", action="append", default=[],
        help="tell whether the policy lets Zeek ask this; may be repeated")
    add("-e", "--execute", metavar="SQL", action="append", default=[],
        help="run a statement and print its result; may be repeated; - reads standard input")
    add("--mode", choices=MODES, default="table", help="form of results of -e (default: table)")
    add("--local", action="store_true", help="run queries without a Zeek and write the results")
    add("--output", choices=settings.OUTPUTS,
        help="form of --local (default: pretty on a terminal, else json)")
    add("-i", "--interactive", action="store_true",
        help="start the agent with a console; leaving it ends the agent")
    add("--log-dir", metavar="DIR", help="directory for --local to write its logs to")
    add("--interval", metavar="SECONDS", type=float,
        help="interval of --local's own queries (default: 30)")
    add("-r", "--remote", action="store_true",
        help="console of the agent that runs already; with -e, ask that one")
    add("-s", "--socket", metavar="FILE", type=Path, help="socket that consoles connect to")
    add("-v", "--version", action="store_true", help="print the version")
    add("-z", "--zeek", metavar="HOST[:PORT]", action="append", default=[],
        help="Zeek to join; may be repeated")
    add("words", nargs="*", help=argparse.SUPPRESS)
    # fmt: on
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the agent as *arguments* say; return the exit status."""
    gc.disable()  # until all is loaded: nothing of that is garbage
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if words and words[0] in COMMANDS:
            return int(importlib.import_module(COMMANDS[words[0]]).main(words[1:]))
        words, command, rest = _split(words)
        options = parser().parse_args(words)
        options.command, options.rest = command, rest
        return _run(options)
    except AgentError as error:
        print(f"zeek-agent: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:
        _give_up_output()
        return OK
    except OSError as error:
        if error.errno not in FULL:
            raise
        _give_up_output()
        reason = os.strerror(error.errno or 0).lower()
        print(f"zeek-agent: cannot write to standard output: {reason}", file=sys.stderr)
        return FAILED


def _split(arguments: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Return *arguments*, and the command of a pack with its own, if there may be one."""
    if all("-" not in word.lstrip("-") or word.startswith("-") for word in arguments):
        return arguments, None, []
    from zeek_agent_core import subcommands  # noqa: PLC0415 - rarely wanted

    return subcommands.split(arguments)


def _give_up_output() -> None:
    """Drop what cannot be written, which Python would try again at its exit, and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(options: argparse.Namespace) -> int:
    if options.version:
        print(f"Zeek Agent v{__version__}", file=sys.stderr)
        return OK
    if options.words:
        words = " ".join(options.words)
        print(f"zeek-agent: ignored: {words} (statements are given with -e)", file=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # text that the terminal cannot show
    status = _use(options)
    sys.stdout.flush()
    return status


def _use(options: argparse.Namespace) -> int:
    config = configured(options)
    if options.interactive and (options.remote or options.local):
        other = "--remote" if options.remote else "--local"
        raise ConfigError(f"--interactive and {other} exclude each other")
    is_quiet = (
        bool(options.execute or options.check_policy)
        or options.remote
        or options.interactive
        or options.autodoc
        or options.check_config
        or options.test
    )
    _set_up_logging(config, is_quiet=is_quiet, is_local=options.local)
    if options.autodoc:
        return _autodoc(config)
    if options.check_config or options.check_policy or options.test:
        return _check(options, config)
    if options.command:
        from zeek_agent_core import subcommands  # noqa: PLC0415 - one of several uses

        work = subcommands.run(
            config,
            options.command,
            options.rest,
            is_remote=options.remote,
            is_mock=options.use_mock_data,
        )
        return asyncio.run(work)
    if options.execute or options.remote:
        return asyncio.run(_answer(config, options))
    from zeek_agent_core import daemon  # noqa: PLC0415 - one of several uses

    return asyncio.run(
        daemon.run(
            config,
            is_local=options.local,
            is_interactive=options.interactive,
            is_mock=options.use_mock_data,
            ends_on_disconnect=options.terminate_on_disconnect,
            reload=lambda: configured(options),
        )
    )


def _answer(config: Config, options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Return what answers statements: those of `-e`, or those typed at a console."""
    if options.remote and not options.execute:
        from zeek_agent_core import talk  # noqa: PLC0415 - one of several uses

        return talk.remote(config)
    from zeek_agent_core import oneshot  # noqa: PLC0415 - one of several uses

    if options.remote:
        return oneshot.ask(config, options.execute, options.mode)
    return oneshot.run(config, options.execute, options.mode, is_mock=options.use_mock_data)


def configured(options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the settings of the file and *environment* with those of the command line on top."""
    config = settings.load(options.config, environment)
    log, local = config.log, config.local
    if options.log_level is not None:
        level = settings.LEVELS.get(options.log_level.lower())
        if level is None:
            hint = settings.nearest(options.log_level, settings.LEVELS)
            raise ConfigError(f"unknown log level '{options.log_level}'{hint}")
        log = replace(log, level=level)
    if options.output is not None:
        local = replace(local, output=options.output)
    if options.log_dir is not None:
        local = replace(local, log_dir=options.log_dir)
    if options.interval is not None:
        if options.interval <= 0:
            raise ConfigError("--interval must be greater than 0")
        local = replace(local, interval=options.interval)
    if options.socket is not None:
        config = replace(config, socket=options.socket)
    zeek = replace(config.zeek, destination=(*config.zeek.destination, *options.zeek))
    return replace(config, log=log, local=local, zeek=zeek)


def _set_up_logging(config: Config, *, is_quiet: bool, is_local: bool) -> None:
    from zeek_agent_core import logs  # noqa: PLC0415 - after the cheap answers

    log = config.log
    if (is_quiet or is_local) and log.type in (None, "stdout"):
        log = replace(log, type="stderr")  # standard output is for results
    logs.set_up(log, default_level="warning" if is_quiet else "info")


def _check(options: argparse.Namespace, config: Config) -> int:
    from zeek_agent_core import check  # noqa: PLC0415 - one of several uses

    if options.check_config:
        return asyncio.run(check.configuration(config))
    if options.check_policy:
        return asyncio.run(check.policy(config, options.check_policy))
    return asyncio.run(check.tables(config))


def _autodoc(config: Config) -> int:
    import json  # noqa: PLC0415 - one of several uses

    from zeek_agent_core import autodoc, kernel, plugins  # noqa: PLC0415 - one of several uses
    from zeek_agent_core.host import Host  # noqa: PLC0415 - one of several uses

    catalog = plugins.find(Host(settings=config.tables), config.blocked)
    print(json.dumps(autodoc.schemas(kernel.offered(catalog)), indent=4, sort_keys=True))
    return OK
