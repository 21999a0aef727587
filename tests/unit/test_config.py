"""Tests of where settings come from and of what is said about wrong ones."""

from pathlib import Path

import pytest

from zeek_agent_core import cli
from zeek_agent_core.config import Config, from_mapping, load, standard_files, state_directory
from zeek_agent_core.config_keys import LEVELS, MEBI, SETTINGS, environment_name, unknown_variables
from zeek_agent_core.errors import ConfigError

EVERYTHING = """
agent-id = "Hmine"
state-dir = "/state"
run-dir = "/run/it"
socket = "/run/it/sock"
[log]
level = "WARN"
type = "file"
path = "/log"
format = "json"
[zeek]
destination = ["one", "two:9997"]
groups = "servers"
hello_interval = 5
reconnect_interval = 0.5
reconnect_spread = 6
timeout = 7
tls = "insecure"
ssl_disable = true
ssl_cafile = "ca"
ssl_capath = "cas"
ssl_certificate = "cert"
ssl_keyfile = "key"
ssl_passphrase = "secret"
[plugins]
block = ["linux_users"]
[limits]
time = 1.5
rows = 10
result = 0.5
memory = 3
recursion = 0
cell = 1
[local]
output = "zeek"
log_dir = "/logs"
interval = 2
rotate_size = 0
rotate_interval = 0
keep = 0
default_pack = false
[console]
keys = "vi"
[linux]
bpf = false
[policy]
tables = ["us*", "zeek_agent"]
deny_tables = "sockets"
paths = ["/etc/**"]
deny_paths = ["/etc/shadow"]
mask = ["users.email"]
min_interval = 10
max_rows = 1000
[audit]
level = "FULL"
path = "/audit"
[tables.files]
most = 3
[[query]]
name = "a"
"""

EXPECTED = {
    "agent_id": "Hmine", "state_dir": Path("/state"), "run_dir": Path("/run/it"),
    "socket": Path("/run/it/sock"),
    "log.level": "warning", "log.type": "file", "log.path": "/log", "log.format": "json",
    "zeek.destination": ("one", "two:9997"), "zeek.groups": ("servers",),
    "zeek.hello_interval": 5.0, "zeek.reconnect_interval": 0.5, "zeek.timeout": 7.0,
    "zeek.reconnect_spread": 6.0,
    "zeek.tls": "insecure", "zeek.ssl_disable": True, "zeek.ssl_cafile": "ca",
    "zeek.ssl_capath": "cas", "zeek.ssl_certificate": "cert", "zeek.ssl_keyfile": "key",
    "zeek.ssl_passphrase": "secret", "blocked": ("linux_users",),
    "limits.seconds": 1.5, "limits.rows": 10, "limits.result_bytes": MEBI // 2,
    "limits.memory_bytes": 3 * MEBI, "limits.recursion_steps": 0, "limits.cell_bytes": MEBI,
    "local.output": "zeek", "local.log_dir": "/logs", "local.interval": 2.0,
    "local.rotate_bytes": 0, "local.rotate_seconds": 0.0, "local.keep": 0,
    "local.default_pack": False,
    "console.keys": "vi",
    "linux.bpf": False,
    "policy.tables": ("us*", "zeek_agent"), "policy.deny_tables": ("sockets",),
    "policy.paths": ("/etc/**",), "policy.deny_paths": ("/etc/shadow",),
    "policy.mask": ("users.email",), "policy.min_interval": 10.0, "policy.max_rows": 1000,
    "audit.level": "full", "audit.path": "/audit",
}  # fmt: skip


def found(config, target):
    """Return the attribute that a dotted path leads to."""
    for part in target.split("."):
        config = getattr(config, part)
    return config


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a configuration file."""

    def write(content):
        path = tmp_path / "agent.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_key(write):
    """Every key there is can be set in the file and arrives with its type."""
    path = write(EVERYTHING)
    config = load(path, {})
    assert EXPECTED.keys() == {setting.target for setting in SETTINGS}
    for target, value in EXPECTED.items():
        assert found(config, target) == value
        assert type(found(config, target)) is type(value)
    assert config.path == path
    assert config.tables == {"files": {"most": 3}}
    assert config.queries == ({"name": "a"},)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.target)
def test_every_key_in_the_environment(setting):
    """Every key can be set by a variable of the environment as well."""
    value = EXPECTED[setting.target]
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    if setting.kind == "mebibytes":
        text = str(value / MEBI)
    if isinstance(value, bool):
        text = str(value).lower()
    config = load(None, {environment_name(setting): text, "ZEEK_AGENT_CONFIG": "/dev/null"})
    assert found(config, setting.target) == value


def test_every_key_has_a_default():
    """An agent needs no configuration, and each setting leads to an attribute."""
    for setting in SETTINGS:
        found(Config(), setting.target)
    assert Config().zeek.hello_interval == 60
    assert Config().zeek.reconnect_interval == 30
    assert Config().zeek.timeout == 120


@pytest.mark.parametrize("level", LEVELS)
def test_levels(level):
    """All levels and their aliases are known, `off` too, in any case of letters."""
    assert from_mapping({"log": {"level": level.upper()}}).log.level == LEVELS[level]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("agent-id = 5", "configuration option 'agent-id': write text in quotes"),
        ("agentid = 'x'", "unknown key agentid; did you mean 'agent-id'?"),
        ("[log]\nlevel = 'loud'", "unknown log level 'loud'; known are: critical, debug, "),
        ("[log]\nlevel = 'waring'", "unknown log level 'waring'; did you mean 'warning'?"),
        ("[log]\ntype = 'sys'", "unknown log type 'sys'; did you mean 'system'?"),
        ("[log]\nlevel = 3", "unknown log level '3'"),
        ("[log]\ncolour = 'x'", "unknown key [log] colour; known are: format, level, path, type"),
        ("[logs]\nlevel = 'info'", "unknown section [logs]; did you mean 'log'?"),
        ("log = 'info'", "'log' is a section; write [log] and keys below it"),
        ("[zeek]\ntimeout = '5'", "option '[zeek] timeout': write a number of seconds"),
        ("[zeek]\ntimeout = true", "option '[zeek] timeout': write a number of seconds"),
        ("[zeek]\ntimeout = 0", "option '[zeek] timeout': it must be greater than 0"),
        ("[zeek]\ntimeout = -1", "option '[zeek] timeout': it must be greater than 0"),
        ("[zeek]\ntimeout = nan", "option '[zeek] timeout': write a number of seconds"),
        ("[zeek]\ntimeout = inf", "option '[zeek] timeout': write a number of seconds"),
        ("[zeek]\ntimeout = 1e15", "option '[zeek] timeout': it must be at most 1000000000000"),
        ("[zeek]\nssl_disable = 1", "option '[zeek] ssl_disable': write true or false"),
        (
            "[zeek]\ntls = 'none'",
            "[zeek] tls cannot be 'none'; known are: anonymous, insecure, off, verify",
        ),
        ("[zeek]\ndestination = 1", "write text in quotes, or a list of such"),
        ("[zeek]\ndestination = [1]", "write text in quotes, or a list of such"),
        ("[limits]\nrows = 1.5", "option '[limits] rows': write a whole number"),
        ("[limits]\ncell = 5000", "option '[limits] cell': it must be at most 1000"),
        ("[limits]\nmemory = 1e300", "option '[limits] memory': it must be at most"),
        ("[limits]\nmemory = inf", "option '[limits] memory': write a number of MiB"),
        ("[local]\nkeep = -1", "option '[local] keep': it must not be negative"),
        ("query = 5", "queries are written as [[query]], one block for each"),
        ("[query]\na = 1", "queries are written as [[query]], one block for each"),
        ("[tables]\nfiles = 1", "settings of tables are written below [tables.<name>]"),
        ("a = [", "Invalid value"),
        ("a = 'x", "at end of document"),
        (b"a = '\xff'", "it is not UTF-8 text at byte 5; save it as UTF-8"),
    ],
)
def test_wrong_settings(write, content, message):
    """A message names the file, the key, and what to write there."""
    path = write(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"error reading {path}: ")
    assert message in str(caught.value)


def test_texts_of_the_specification(write):
    """Tools that look for the older agent's messages find them."""
    path = write("[zeek]\ntimeout = 'x'")
    with pytest.raises(ConfigError, match="cannot parse value for configuration option '"):
        load(path, {})
    missing = path.with_name("missing.toml")
    expected = (
        f"error reading {missing}: cannot open configuration file {missing}: "
        "No such file or directory"
    )
    with pytest.raises(ConfigError) as caught:
        load(missing, {})
    assert str(caught.value) == expected


def test_a_directory_is_no_file(tmp_path):
    """A path that cannot be read is told with its reason."""
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize("number", ["3", "3.0", "3.5"])
def test_seconds(write, number):
    """Seconds may be whole or not."""
    config = load(write(f"[zeek]\nhello_interval = {number}"), {})
    assert config.zeek.hello_interval == float(number)


def test_precedence(write):
    """The command line wins over the environment, that over the file; destinations add up."""
    path = write("[log]\nlevel = 'error'\nformat = 'json'\n[zeek]\ndestination = 'file'")
    config = load(path, {"ZEEK_AGENT_LOG_LEVEL": "debug"})
    assert (config.log.level, config.log.format) == ("debug", "json")
    arguments = ["-c", str(path), "-L", "trace", "-z", "one", "-z", "two:1"]
    config = cli.configured(cli.parser().parse_args(arguments), {"ZEEK_AGENT_LOG_LEVEL": "debug"})
    assert config.log.level == "trace"
    assert config.zeek.destination == ("file", "one", "two:1")


def test_file_named_by_the_environment(write):
    """`ZEEK_AGENT_CONFIG` names a file, which must be there; an option comes before it."""
    path = write("agent-id = 'Hfile'")
    assert load(None, {"ZEEK_AGENT_CONFIG": str(path)}).agent_id == "Hfile"
    with pytest.raises(ConfigError, match="cannot open"):
        load(None, {"ZEEK_AGENT_CONFIG": f"{path}.not"})
    assert load(path, {"ZEEK_AGENT_CONFIG": f"{path}.not"}).agent_id == "Hfile"


def test_wrong_variable():
    """A wrong value in the environment is told with the name of the variable."""
    with pytest.raises(ConfigError, match="'ZEEK_AGENT_ZEEK_TIMEOUT': write a number of seconds"):
        load(Path("/dev/null"), {"ZEEK_AGENT_ZEEK_TIMEOUT": "soon"})


def test_empty_variable_is_none():
    """A variable that is set to nothing changes nothing."""
    assert load(Path("/dev/null"), {"ZEEK_AGENT_LOG_LEVEL": ""}).log.level is None


def test_standard_files():
    """The agent's own file comes first, then the two names of the older agent."""
    names = [path.name for path in standard_files()]
    assert names == ["zeek-agent.toml", "zeek-agent.conf", "zeek-agent.cfg"]


@pytest.mark.parametrize(
    ("environment", "is_root", "expected"),
    [
        ({"HOME": "/home/a"}, True, "/var/lib/zeek-agent"),
        ({"HOME": "/home/a"}, False, "/home/a/.local/state/zeek-agent"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/x"}, False, "/x/zeek-agent"),
        ({}, False, "/var/lib/zeek-agent"),
    ],
)
def test_state_directory(environment, is_root, expected):
    """Root keeps its state in /var/lib, others where XDG says, and no home is no crash."""
    assert state_directory(Config(), environment, is_root=is_root) == Path(expected)


def test_state_directory_can_be_set():
    """The configuration wins over all standard places."""
    assert state_directory(Config(state_dir=Path("/s")), {}, is_root=True) == Path("/s")


def test_variables_that_set_nothing_are_found():
    """A slip in the name of a variable comes with the name that was meant."""
    given = ["HOME", "ZEEK_AGENT_CONFIG", "ZEEK_AGENT_LIMITS_ROWZ", "ZEEK_AGENT_LOG_LEVEL"]
    assert unknown_variables(given) == [
        ("ZEEK_AGENT_LIMITS_ROWZ", "; did you mean ZEEK_AGENT_LIMITS_ROWS?")
    ]
    assert unknown_variables(["ZEEK_AGENT_COLOUR"]) == [("ZEEK_AGENT_COLOUR", "")]


def test_a_section_of_a_pack():
    """A pack's own section is kept as a table's settings are, beside theirs, in any order."""
    given = {"osquery": {"timeout": 3.0}, "tables": {"files": {"max_matches": 3}}}
    merged = {"osquery": {"timeout": 3.0}, "files": {"max_matches": 3}}
    assert from_mapping(given).tables == merged
    assert from_mapping(dict(reversed(given.items()))).tables == merged
    with pytest.raises(ConfigError, match=r"'osquery' is a section; write \[osquery\]"):
        from_mapping({"osquery": "on"})
