#!/usr/bin/env python3
"""Write the generated pages of `docs/reference` from the code; with `--check`, only say which are stale.

What is here is read from the installed package: the real `--help` of every command, every error class, every setting,
every model; and from the rows that the fault tests run. Nothing is listed by hand, so a new command or error appears by
itself.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import internlm_setup
from internlm_setup.core import errors as families
from internlm_setup.core import settings
from internlm_setup.core.errors import ExitCode, SetupError
from internlm_setup.core.paths import shipped_configs
from internlm_setup.core.text import LANGUAGES, Language, Text
from internlm_setup.fetch.catalog import load_catalog
from internlm_setup.mirrors import profiles, targets
from internlm_setup.mirrors.edit import changed
from internlm_setup.mirrors.model import Channel, Machine, Target, Wish
from internlm_setup.mirrors.sites import load_sites

PROGRAM = "internlm-setup"
TITLES = {"huggingface": "Hugging Face", "modelscope": "ModelScope", "openxlab": "OpenXLab"}
COLUMNS = "100"  # the widest that help is drawn
REFERENCE = Path(__file__).parent / "reference"
MARK = "<!-- Written by docs/generate.py from the code. Do not edit: `nox -s docs -- write`. -->"
STALE = 1
ASK = """
import contextlib, io, json, sys
from internlm_setup.cli import main
said = []
for line in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(line) == 0
    said.append(out.getvalue())
print(json.dumps(said))
"""

# Exit codes that no error class stands for.
OTHER_CODES = {
    0: ("OK", "Done, or nothing to do."),
    1: (
        "NO",
        "All went well and the answer is no: `verify` found a difference, `models list` no match, `clean` no yes.",
    ),
    2: ("USAGE", "The command line cannot be understood."),
    70: ("BUG", "A bug in this program; the traceback is in the log file that the message names."),
    129: ("SIGHUP", "The terminal went away; what came is kept."),
    130: ("SIGINT", "Ctrl-C; what came is kept, and the message holds the command that goes on."),
    141: ("SIGPIPE", "Whoever read standard output closed it, as `head` does."),
    143: ("SIGTERM", "Asked to end; what came is kept."),
}

# A signal's error is no family's: its exit code is 128 and the signal's number.
BY_SIGNAL = {"cli.stopped": (129, 130, 143)}

# Variables that are not settings: they say who you are, or where folders are.
OTHER_VARIABLES = (
    ("HF_TOKEN", "Hugging Face's token; it wins over the login that `hf auth login` stored."),
    ("HUGGING_FACE_HUB_TOKEN", "The older name of `HF_TOKEN`."),
    ("HF_TOKEN_PATH", "The file of Hugging Face's stored login; default `token` in `HF_HOME`."),
    ("HF_HOME", "Hugging Face's folder; default `huggingface` in `XDG_CACHE_HOME`, or in `~/.cache`."),
    ("HF_HUB_CACHE", "Hugging Face's cache; default `hub` in `HF_HOME`. `--layout hf-cache` fills it."),
    ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "`1`: no token is sent to Hugging Face."),
    ("MODELSCOPE_API_TOKEN", "ModelScope's token; it wins over what `modelscope login` stored."),
    ("MODELSCOPE_CACHE", "ModelScope's cache; default `~/.cache/modelscope`. `--layout modelscope-cache` fills it."),
    ("MODELSCOPE_HOME", "The folder of ModelScope's stored login; default `~/.modelscope`."),
    ("OPENXLAB_AK", "With `OPENXLAB_SK`, OpenXLab's key pair; it wins over the stored one. Public models need none."),
    ("INTERNLM_SETUP_MIRRORS", "A folder of files of mirror sites, laid over the catalogue and over your own."),
    ("XDG_CONFIG_HOME", "Where the configuration folder is; default `~/.config`."),
    ("XDG_STATE_HOME", "Where the state folder is; default `~/.local/state`."),
    ("XDG_CACHE_HOME", "Where our cache and Hugging Face's are; default `~/.cache`."),
    ("NO_COLOR", "Set to anything: no colours."),
)

COMMANDS_HEAD = Text(
    en="# Commands\n\nThe help of every command, as `--help` shows it.\n"
    "`--lang`, `--json`, `-q` and `-v` may stand before or after the command.",
    zh="# 命令\n\n每条命令的帮助，与 `--help` 的输出一致。\n`--lang`、`--json`、`-q`、`-v` 可以写在命令之前或之后。",
)
COMMANDS_TABLE = Text(en="| Command | What it does |", zh="| 命令 | 作用 |")


FAULTS_HEAD = Text(
    en="# When a server misbehaves\n\n"
    "What a fetch comes to, for each way in which a server, a CDN, a proxy or a log-in page misbehaves, at each hub.\n"
    "The tests make the playground do each of these and read the same rows, so the page is what was observed.\n"
    "They also check that nothing wrong gets a final name, and that the next run fetches only what is missing.\n\n"
    "A cell holds [exit codes](exit-codes.md): when it happens once or twice · when it never ends, from the first byte "
    "· when it never ends, after a first piece has come.\n"
    "0: the model arrives, verified; 0†: a file of it is named as unverified. 75: something is kept. 69: nothing came. "
    "`–`: the hub cannot do this, or no run can come so far.",
    zh="# 服务器行为异常时\n\n"
    "服务器、CDN、代理或登录页面的每一种异常行为，在每个平台上各会导致怎样的下载结果。\n"
    "测试让 playground 逐一做出这些行为，并读取相同的行，因此本页就是实际观察到的结果。\n"
    "测试还会检查：错误内容绝不会得到正式文件名，下一次运行只下载缺少的部分。\n\n"
    "单元格中是[退出码](exit-codes.md)：出现一两次时 · 从第一个字节起一直如此时 · 第一块到达之后一直如此时。\n"
    "0：模型到达并通过校验；0†：其中有文件被列为未校验。75：已保留部分内容。69：什么也没有收到。`–`：该平台不会这样，或运行不会到达这一步。",
)
FAULTS_PARTS = (
    Text(en="## In the list of files", zh="## 在文件列表中"),
    Text(en="## In the files", zh="## 在文件中"),
)
FAULTS_COLUMNS = Text(
    en="| The server | {hubs} | Errors |",
    zh="| 服务器的行为 | {hubs} | 错误 |",
)
FAULTS_NOTES = Text(
    en="OpenXLab publishes no hash.\n"
    "A wrong bit there arrives, and the file is named as unverified unless another hub's hash vouches for it; "
    "another `ETag` is the only sign that a file was replaced.\n"
    "Its addresses carry no sizes, so each is asked for its first byte: what is wrong with the files from the first "
    "byte on is met there, and ends the run as a hub that cannot be reached.\n\n"
    "A disk that fills up meanwhile ends the run with 73; the same command goes on when there is room.",
    zh="OpenXLab 不公布哈希值。\n"
    "那里出错的一位会照样到达，除非其他平台的哈希值能够证明，否则该文件会被列为未校验；"
    "`ETag` 变化是文件被替换的唯一迹象。\n"
    "它的地址不带大小，因此会先请求每个文件的第一个字节：从第一个字节起就有的问题在那里出现，并以无法连接平台结束运行。\n\n"
    "运行期间磁盘写满时以 73 结束；腾出空间后，同一条命令继续下载。",
)
ASKING = {
    "seconds": Text(en=", `Retry-After` in seconds", zh="，`Retry-After` 为秒数"),
    "date": Text(en=", `Retry-After` as a date", zh="，`Retry-After` 为日期"),
    "ratelimit": Text(en=", `RateLimit` alone", zh="，只有 `RateLimit`"),
    "nothing": Text(en=" without a word on how long", zh="，没有说明等待多久"),
}


def main(arguments: Sequence[str]) -> int:
    """Write every page, or check them; return the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        print(f"{'stale' if '--check' in arguments else 'written'}: docs/reference/{name}")
    if stale and "--check" in arguments:
        print("`python docs/generate.py` writes them anew")
        return STALE
    return 0


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command: the root, then each noun and its verbs, in the order help has them."""
    from internlm_setup.cli import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*words, name))

    return list(walk(app.build(), ()))


def helps(found: Sequence[Sequence[str]], language: Language) -> list[str]:
    """Return what each command's own `--help` prints; in a process of its own, since words are chosen at import."""
    env = {**os.environ, "COLUMNS": COLUMNS, "PYTHONUTF8": "1"}
    lines = [["--lang", language, *words, "--help"] for words in found]
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", ASK], env=env, input=json.dumps(lines), capture_output=True, encoding="utf-8", check=True
    )
    return [text.rstrip() for text in json.loads(done.stdout)]


def commands_page(language: Language) -> str:
    """Return the page of all commands in one language."""
    found = commands()
    rows, sections = [], []
    for words, text in zip(found, helps(found, language), strict=True):
        name = " ".join((PROGRAM, *words))
        rows.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {text.splitlines()[2]} |")
        sections.append(f"## {name}\n\n```text\n{text}\n```")
    table = "\n".join([COMMANDS_TABLE.of(language), "|---|---|", *rows])
    return _page(COMMANDS_HEAD.of(language), table, *sections)


def error_classes() -> list[type[SetupError]]:
    """Return every concrete error of the package, by code."""
    for module in pkgutil.walk_packages(internlm_setup.__path__, "internlm_setup."):
        if module.name.endswith("errors") or module.name.startswith("internlm_setup.core."):
            importlib.import_module(module.name)
    todo, found = [SetupError], set()
    while todo:
        each = todo.pop()
        todo += each.__subclasses__()
        if each.__module__.startswith("internlm_setup.") and each.__module__ != families.__name__:
            found.add(each)
    return sorted(found, key=lambda each: each.code)


def errors_page() -> str:
    """Return the page of every error: code, exit code, meaning, and what it says in both languages."""
    classes = error_classes()
    rows = [f"| [`{e.code}`](#{_anchor(e.code)}) | {_exits(e)} | {_meaning(e)} |" for e in classes]
    table = "\n".join(["| Code | Exit | Meaning |", "|---|---|---|", *rows])
    head = (
        "# Errors\n\nEvery failure has a stable code, which `--json` shows, and an [exit code](exit-codes.md).\n"
        "Words in braces are filled in when the error happens; in `--json` most of them are fields of their own.\n"
        "When several things fail in one run, each is reported."
    )
    return _page(head, table, *map(_error_section, classes))


def _error_section(error: type[SetupError]) -> str:
    own = [each for each in vars(error).values() if isinstance(each, Text)]
    says = [each for each in (error.text, error.hint) if each is not None]
    lines = [f"- {text.of(lang)}" for text in dict.fromkeys([*says, *own]) for lang in LANGUAGES]
    head = f"## {error.code}\n\nExit {_exits(error)}. {_meaning(error)}"
    return "\n".join([head, "", *lines])


def exit_codes_page() -> str:
    """Return the page of exit codes: from the families of errors, and those that no class stands for."""
    meanings = dict(OTHER_CODES)
    for each in vars(families).values():
        if isinstance(each, type) and issubclass(each, SetupError) and each.exit_code not in OTHER_CODES:
            meanings[int(each.exit_code)] = (ExitCode(each.exit_code).name, _meaning(each))
    codes: dict[int, list[str]] = {}
    for error in error_classes():
        for number in BY_SIGNAL.get(error.code, (int(error.exit_code),)):
            codes.setdefault(number, []).append(f"[`{error.code}`](errors.md#{_anchor(error.code)})")
    rows = [
        f"| {n} | {name} | {says} | {', '.join(codes.get(n, []))} |" for n, (name, says) in sorted(meanings.items())
    ]
    head = (
        "# Exit codes\n\nOne family of failures is one code, taken from `sysexits.h` where one fits.\n"
        "Several failures in one run: the code they agree on, else 75 when any can be resumed, else the first one's.\n"
        f"`{PROGRAM} playground -- COMMAND` ends with the command's own code."
    )
    return _page(head, "\n".join(["| Exit | Name | Meaning | Errors |", "|---|---|---|---|", *rows]))


def settings_page() -> str:
    """Return the page of settings: options, variables, keys of the file, defaults."""
    hubs = settings.hub_defaults(shipped_configs() / "hubs.yaml")
    rows = []
    for name, default, variables in settings._known(hubs):
        hub = name.removeprefix("endpoint.")
        option = "" if hub != name else f"`--{name.replace('_', '-')}`"
        key = f"`{name}: …`" if hub == name else f"`endpoint: {{{hub}: …}}`"
        shown = "none" if default is None else f"`{default}`"
        rows.append(f"| `{name}` | {option} | {', '.join(f'`{v}`' for v in variables)} | {key} | {shown} |")
    table = "\n".join(["| Setting | Option | Variables | In `config.yaml` | Default |", "|---|---|---|---|---|", *rows])
    head = (
        "# Settings\n\nThe first that speaks wins: command line, environment variable, `config.yaml`, default.\n"
        f"`{PROGRAM} config show` lists every value with where it came from; `{PROGRAM} config path` prints the file.\n"
        "Where a setting has several variables, the first that is set wins.\n"
        "Without `--lang`, its variable or the file, the language is that of the locale."
    )
    network = "\n".join(f"- `{name}`, `{name.lower()}`" for name in settings.NETWORK_VARIABLES if "PROXY" in name)
    trust = "\n".join(f"- `{name}`" for name in settings.NETWORK_VARIABLES if "PROXY" not in name)
    others = "\n".join(f"| `{name}` | {says} |" for name, says in OTHER_VARIABLES)
    return _page(
        head,
        table,
        "## Proxies\n\nA lower-case name wins over the upper-case one.",
        network,
        "## Trusted certificates\n\nFiles of certificates that are trusted, as a company's proxy may need.\n"
        "`SSL_CERT_FILE` takes the place of the system's own file, as it does everywhere; the others are added.",
        f"{trust}\n- `CURL_CA_BUNDLE`",
        "## Other variables that are read\n\n| Variable | What it says |\n|---|---|\n" + others,
    )


def models_page() -> str:
    """Return the page of the shipped catalogue."""
    models = load_catalog([shipped_configs() / "models"]).models
    hubs = [hub.id for hub in settings.hub_defaults(shipped_configs() / "hubs.yaml")]
    hubs += sorted({hub for model in models for hub in model.ids} - set(hubs))
    sections = []
    for family in dict.fromkeys(model.family for model in models):
        mine = [model for model in models if model.family == family]
        rows = []
        for model in mine:
            ids = [f"`{model.ids[hub]}`" if hub in model.ids else "" for hub in hubs]
            rows.append(" | ".join([f"| `{model.name}`", *ids, ", ".join(f"`{a}`" for a in model.aliases) + " |"]))
        title = mine[0].title
        columns = ["Name", *hubs, "Also understood"]
        table = "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows])
        sections.append(f"## {title.en} · {title.zh}\n\n{table}")
    head = (
        f"# Models\n\nThe {len(models)} models of the shipped catalogue and their ids at each hub.\n"
        "An empty cell: the hub is not known to have the model.\n"
        "Every id is understood as a name too, in any case.\n"
        f"`{PROGRAM} models show NAME` asks the hubs whether they hold the same bytes.\n"
        "A hub in this table need not be one that can be fetched from: `fetch --source` names those."
    )
    return _page(head, *sections)


def faults_page(language: Language) -> str:
    """Return the page of outcomes in one language, from the rows that the tests run."""
    sys.path.insert(0, str(REFERENCE.parents[1] / "tests"))
    from outcomes import CASES, HUBS

    titles = " | ".join(TITLES[hub] for hub in HUBS)
    head = FAULTS_COLUMNS.of(language, {"hubs": titles}) + "\n" + "|---" * (len(HUBS) + 2) + "|"
    parts = []
    for part, of_listing in zip(FAULTS_PARTS, (True, False), strict=True):
        rows = [_fault_row(case, language) for case in CASES if case.of_listing == of_listing]
        parts.append("\n".join([part.of(language), "", head, *rows]))
    return _page(FAULTS_HEAD.of(language), *parts, FAULTS_NOTES.of(language))


def _fault_row(case: Any, language: Language) -> str:
    from internlm_setup.playground.hub import KINDS
    from outcomes import HUBS, at

    fault = case.fault
    label = str(fault.status) if fault.kind == "server-error" else KINDS[fault.kind].does.of(language)
    label += ASKING[fault.asking].of(language) if fault.kind == "rate-limit" else ""
    ends = [case.briefly, case.always] + ([] if case.of_listing else [case.later])
    cells = [" · ".join(_fault_end(at(each, hub)) for each in ends) for hub in HUBS]
    found = {code for e in ends for hub in HUBS if (end := at(e, hub)) and end.exit_code for code in end.codes}
    codes = ", ".join(f"[`{code}`](errors.md#{_anchor(code)})" for code in sorted(found))
    return f"| {label} | {' | '.join(cells)} | {codes} |"


def _fault_end(end: Any) -> str:
    if end is None:
        return "–"
    return f"{end.exit_code}{'†' if end.codes and not end.exit_code else ''}"


def _page(*blocks: str) -> str:
    return "\n\n".join([MARK, *blocks]) + "\n"


def _exits(error: type[SetupError]) -> str:
    return ", ".join(map(str, BY_SIGNAL.get(error.code, (int(error.exit_code),))))


def _meaning(kind: type[SetupError]) -> str:
    """Return the first paragraph of a class's docstring, on one line."""
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _anchor(heading: str) -> str:
    """Return what a heading's link is called: no dots, as GitHub and most renderers make it."""
    return heading.replace(".", "").replace(" ", "-").lower()


def tools_page() -> str:
    """Return the page that names every tool that `mirrors` knows."""
    rows = [
        f"| [{target.title}](tools/{target.id}.md) | {', '.join(target.families)} | {', '.join(target.scopes) or '–'} |"
        for target in targets.known().values()
    ]
    head = (
        "# Tools that `mirrors` knows\n\nWhat is written for each, where, and why.\n"
        "A tool without a scope is only explained or advised about.\n"
        "One more tool is [one file](../how-to/add-a-mirrored-tool.md)."
    )
    return _page(head, "\n".join(["| Tool | Reads | Scopes |", "|---|---|---|", *rows]))


def tool_page(target: Target) -> str:
    """Return one tool's page: its own words in both languages, its files on every system, and what a new one holds."""
    homes = {
        "Linux": ("linux", PurePosixPath("/home/you")),
        "macOS": ("darwin", PurePosixPath("/Users/you")),
        "Windows": ("win32", PureWindowsPath("C:/Users/you")),
    }
    machines = {name: Machine(platform, {}, home, False, {}) for name, (platform, home) in homes.items()}
    blocks = [f"# {target.title}", target.about.en, target.about.zh]
    rows = []
    for scope in target.scopes:
        cells = [", ".join(f"`{p}`" for p in target.files(m, scope, lambda _: None)) for m in machines.values()]
        if any(cells):
            rows.append(f"| {scope} | {' | '.join(cells)} |")
    if rows:
        table = "\n".join([f"| Scope | {' | '.join(machines)} |", "|---|---|---|---|", *rows])
        blocks += ["## Files · 文件", "Where none of the scope's files exists yet.", table]
    wish = _usual_wish(target.families[0])
    if wish is not None:
        path = target.files(machines["Linux"], target.scopes[0], lambda _: None) if target.scopes else ()
        if path:
            syntax = target.syntax(path[0])
            written = changed(syntax, b"", target.edits({}, wish, machines["Linux"])).decode()
            blocks += ["## A new file · 新文件", f"With `--site {wish.site.id}`:", f"```text\n{written.rstrip()}\n```"]
        machine = replace(machines["Linux"], programs={"conda": Path("/opt/conda/bin/conda")})
        advice = [f"- {text.of(language)}" for text in target.advice(wish, machine) for language in LANGUAGES]
        if advice:
            blocks += ["## Advice · 提示", "\n".join(advice)]
    return _page(*blocks, "[All tools](../mirrored-tools.md)")


def _usual_wish(family: str) -> Wish | None:
    """Return what the tools of a family are told where nothing else was said."""
    if family not in profiles.USUAL:
        return None
    site = load_sites([shipped_configs() / "mirrors"]).get(profiles.USUAL[family])
    channels = site.families[family].channels
    taught = [name for name in profiles.PROFILES["tutorial"].channels if name in channels and name != "msys2"]
    return Wish(site, tuple(Channel(name, channels[name], "catalogue") for name in taught))


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": lambda: commands_page("en"),
    "commands.zh-CN.md": lambda: commands_page("zh"),
    "errors.md": errors_page,
    "exit-codes.md": exit_codes_page,
    "faults.md": lambda: faults_page("en"),
    "faults.zh-CN.md": lambda: faults_page("zh"),
    "settings.md": settings_page,
    "models.md": models_page,
    "mirrored-tools.md": tools_page,
    **{f"tools/{target.id}.md": partial(tool_page, target) for target in targets.known().values()},
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
