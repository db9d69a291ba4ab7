"""The real conda reads what is written, says the same as our rules, and installs through it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import pytest

from condarcs import CONDARCS
from internlm_setup.core.paths import Paths
from internlm_setup.core.text import Text
from internlm_setup.mirrors import environment
from internlm_setup.mirrors.doctor import diagnose
from internlm_setup.mirrors.edit import changed, yaml
from internlm_setup.mirrors.model import Channel, Machine, Serving, Site, Wish
from internlm_setup.mirrors.targets.conda import TARGET
from internlm_setup.mirrors.world import make_world
from servers import conda
from servers.conda import Conda

pytestmark = [pytest.mark.loopback, pytest.mark.full, pytest.mark.timeout(300)]

UPSTREAM = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
BASE = "https://mirrors.example.org/anaconda"


def site(base: str) -> Site:
    """Return a site that has conda's channels."""
    return Site("example", Text(en="e", zh="e"), "2026-11-01", {"conda": Serving(base, "full", "")})


def wish(base: str, order: tuple[str, ...] = ("defaults",)) -> Wish:
    """Return what the tutorial's profile asks for, led to a site."""
    paths = {"main": "pkgs/main", "r": "pkgs/r", "conda-forge": "cloud/conda-forge", "pytorch": "cloud/pytorch"}
    return Wish(site(base), tuple(Channel(n, f"{base}/{p}", "catalogue") for n, p in paths.items()), order)


def read(path: PurePath) -> bytes | None:
    """Read a file, or a folder's names."""
    where = Path(path)
    if where.is_dir():
        return "\n".join(entry.name for entry in where.iterdir()).encode()
    return where.read_bytes() if where.is_file() else None


@dataclass
class Place:
    """A home and an installation of conda's in a temporary folder."""

    folder: Path
    conda: Conda
    home: Path
    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, data: bytes) -> None:
        """Write a file of the place."""
        where = self.folder / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)

    def variables(self) -> dict[str, str]:
        """Return the environment of the place."""
        return {"HOME": str(self.home), "CONDA_ROOT": str(self.root), **self.env}

    def machine(self) -> Machine:
        """Return what our rules are told of the place."""
        return Machine("linux", self.variables(), self.home, False, {"conda": self.root / "bin" / "conda"})

    def write(self, wished: Wish) -> Path:
        """Write a wish to the file of the user, as the service does."""
        path = Path(TARGET.files(self.machine(), "user", read)[0])
        before = read(path) or b""
        edits = TARGET.edits(yaml.look(before), wished, self.machine())
        self.put(str(path.relative_to(self.folder)), changed(yaml, before, edits))
        return path

    def agreed(self) -> tuple[str, ...]:
        """Return the addresses in force; conda, our rules, and our reading of conda's answer must name the same."""
        (real,) = self.conda.addresses([self.home], self.variables())
        assert TARGET.effective(self.machine(), read).urls == real
        ask = TARGET.ask(self.machine())
        assert ask is not None
        answer = ask.read(self.conda.run(ask.command[1:], self.variables()))
        assert (answer.urls, answer.asked) == (real, "conda")
        return real


@pytest.fixture
def place(tmp_path: Path, real_conda: Conda) -> Place:
    """An empty home beside an installation."""
    found = Place(tmp_path, real_conda, tmp_path / "home", tmp_path / "miniconda3")
    found.home.mkdir()
    found.root.mkdir()
    return found


def test_version(place: Place) -> None:
    """It is the conda that the facts were taken from."""
    assert place.conda.run(["--version"], place.variables()) == f"conda {conda.VERSION}\n"


OURS = (f"{BASE}/pkgs/main", f"{BASE}/pkgs/r")
STARTS: dict[str, tuple[dict[str, bytes], tuple[str, ...], tuple[str, ...]]] = {
    # The files before; the addresses before; the addresses afterwards.
    "nothing": ({}, UPSTREAM, OURS),
    "Miniconda": ({"miniconda3/.condarc": CONDARCS["miniconda-root"]}, UPSTREAM, OURS),
    "Miniforge": (
        {"miniconda3/.condarc": CONDARCS["miniforge-mirrored"]},
        ("https://conda.anaconda.org/conda-forge",),
        (*OURS, f"{BASE}/cloud/conda-forge"),
    ),
    "root names defaults": (
        {"miniconda3/.condarc": b"default_channels:\n  - https://repo.anaconda.com/pkgs/main\n"},
        UPSTREAM[:1],
        (*OURS, UPSTREAM[0]),
    ),
    "tuna": (
        {"home/.condarc": CONDARCS["tuna-help"]},
        tuple(f"https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/{name}" for name in ("main", "r", "msys2")),
        OURS,
    ),
    "tutorial, unindented": (
        {"home/.condarc": CONDARCS["tutorial-unindented"]},
        ("https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main",),
        OURS,
    ),
    "tutorial, on one line": ({}, UPSTREAM, OURS),
    "alias": (
        {"home/.condarc": b"channel_alias: https://old.example.org/anaconda/\nchannels: [conda-forge, defaults]\n"},
        ("https://old.example.org/anaconda/conda-forge", *UPSTREAM),
        (f"{BASE}/cloud/conda-forge", *OURS),
    ),
    "windows editor": (
        {"home/.condarc": CONDARCS["tuna-help, BOM and CRLF, no final newline"]},
        tuple(f"https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/{name}" for name in ("main", "r", "msys2")),
        OURS,
    ),
    "old folder": (
        {"home/.conda/.condarc": b"channels:\n- bioconda\n"},
        ("https://conda.anaconda.org/bioconda",),
        (*OURS, "https://conda.anaconda.org/bioconda"),
    ),
    "folder of files": (
        {
            "home/.conda/condarc.d/20-lab.yml": b"channels: [lab]\n",
            "home/.conda/condarc.d/10-x.yaml": b"channels: [x]\n",
        },
        ("https://conda.anaconda.org/lab", "https://conda.anaconda.org/x"),
        (*OURS, "https://conda.anaconda.org/lab", "https://conda.anaconda.org/x"),
    ),
    "json": (
        {"home/.condarc": CONDARCS["json"]},
        ("https://conda.anaconda.org/conda-forge", *UPSTREAM),
        (f"{BASE}/cloud/conda-forge", *OURS),
    ),
    "multichannels": (
        {"home/.condarc": CONDARCS["multichannels"]},
        ("https://conda.example.com/lab", "https://conda.anaconda.org/bioconda", *UPSTREAM),
        ("https://conda.example.com/lab", "https://conda.anaconda.org/bioconda", *OURS),
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_before_and_after(place: Place, start: str) -> None:
    """Before, conda asks what it did; after, the site stands where its channels were chosen, else first."""
    files, before, after = STARTS[start]
    for path, data in files.items():
        place.put(path, data)
    assert place.agreed() == before
    written = place.write(wish(BASE)).read_bytes()
    assert place.agreed() == after
    assert place.write(wish(BASE)).read_bytes() == written


RULES: dict[str, tuple[dict[str, bytes], dict[str, str]]] = {
    "CONDA_CHANNELS": ({"home/.condarc": b"channels: [a]\n"}, {"CONDA_CHANNELS": "b, c"}),
    "CONDA_CHANNEL_ALIAS": (
        {"home/.condarc": b"channels: [a]\n"},
        {"CONDA_CHANNEL_ALIAS": "https://alias.example.org"},
    ),
    "CONDA_DEFAULT_CHANNELS": ({}, {"CONDA_DEFAULT_CHANNELS": "https://d.example.org/pkgs/main,local-name"}),
    "CONDARC": (
        {"home/.condarc": b"channels: [a]\n", "extra.yml": b"channels: [b]\n"},
        {"CONDARC": "{folder}/extra.yml"},
    ),
    "CONDARC of another name": ({"extra.txt": b"channels: [b]\n"}, {"CONDARC": "{folder}/extra.txt"}),
    "XDG_CONFIG_HOME": (
        {"x/conda/.condarc": b"channels: [a]\n", "home/.config/conda/condarc": b"channels: [b]\n"},
        {"XDG_CONFIG_HOME": "{folder}/x"},
    ),
    "an environment's own": (
        {"home/.condarc": b"channels: [a]\n", "envs/e/.condarc": b"channels: [b]\n"},
        {"CONDA_PREFIX": "{folder}/envs/e"},
    ),
    "final": (
        {"miniconda3/.condarc": b"channels:  #!final\n  - root\n", "home/.condarc": b"channels: [a]\n"},
        {"CONDA_CHANNELS": "b"},
    ),
    "final address": (
        {
            "miniconda3/.condarc": b"custom_channels:\n  a: https://root.example.org  #!final\n",
            "home/.condarc": b"channels: [a]\ncustom_channels:\n  a: https://home.example.org\n",
        },
        {},
    ),
    "top and bottom": (
        {
            "miniconda3/.condarc": b"channels:\n  - r1 #!top\n  - r2\n",
            "home/.condarc": b"channels:\n  - h1\n  - h2 #!bottom\n  - h3\n",
            "home/.conda/condarc": b"channels:\n  - m1 #!bottom\n  - m2 #!top\n",
        },
        {},
    ),
    "names below names": (
        {
            "home/.condarc": (
                b"channels: [lab/label/dev, lab, pkgs/main, other/linux-64, https://u:p@x.example.org/t/tk-1/c/noarch]\n"
                b"custom_channels: {lab: https://m.example.org/cloud/, other: not-an-address}\n"
                b"default_channels: [https://t.example.org/pkgs/main, plain]\n"
            )
        },
        {},
    ),
    "a variable inside": ({"home/.condarc": b"channels: ['https://$LAB_HOST/c']\n"}, {"LAB_HOST": "lab.example.org"}),
    "the tutorial's other word for a list": ({"home/.condarc": b"channel: [a]\n"}, {}),
    "broken file beside a good one": (
        {"home/.condarc": b"channels: - defaults show: x\n", "home/.conda/.condarc": b"channels: [good]\n"},
        {},
    ),
    "maps merged": (
        {
            "miniconda3/.condarc": b"custom_channels: {a: https://r.org, b: https://r.org}\nchannels: [a]\n",
            "home/.condarc": b"custom_channels: {a: https://h.example.org}\nchannels: [b]\n",
        },
        {},
    ),
    "multichannel named defaults": (
        {"home/.condarc": b"custom_multichannels: {defaults: [https://z.org/z], m: [a]}\nchannels: [defaults, m]\n"},
        {},
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_agree(place: Place, rule: str) -> None:
    """Conda and our rules name the same addresses, whatever is said where."""
    files, env = RULES[rule]
    for path, data in files.items():
        place.put(path, data)
    place.env.update({name: value.replace("{folder}", str(place.folder)) for name, value in env.items()})
    assert place.agreed()


def test_named_channels(place: Place) -> None:
    """A channel that is asked for by name comes from the site, and conda finds nothing to complain about."""
    place.write(wish(BASE, ("pytorch", "conda-forge")))
    assert place.agreed() == (f"{BASE}/cloud/pytorch", f"{BASE}/cloud/conda-forge")
    assert place.conda.run(["config", "--validate"], place.variables()) == ""


def test_corpus_is_read_alike(place: Place) -> None:
    """What conda reads in every file of the corpus is what we read, before and after the write."""
    homes = {name: place.folder / "homes" / str(number) for number, name in enumerate(CONDARCS)}
    for name, home in homes.items():
        place.put(str(home / ".condarc"), CONDARCS[name])
    real = dict(zip(homes, place.conda.addresses(list(homes.values()), place.variables()), strict=True))
    places = {name: replace(place, home=home) for name, home in homes.items()}
    assert {name: TARGET.effective(there.machine(), read).urls for name, there in places.items()} == real
    for there in places.values():
        there.write(wish(BASE))
    real = dict(zip(homes, place.conda.addresses(list(homes.values()), place.variables()), strict=True))
    assert {name: TARGET.effective(there.machine(), read).urls for name, there in places.items()} == real
    assert [name for name, urls in real.items() if not any(url.startswith(BASE) for url in urls)] == []


def install_words(place: Place, channel: str, package: str) -> list[str]:
    """Return the command that installs one package into a new environment."""
    prefix = str(place.folder / "envs" / package)
    return ["create", "--yes", "--quiet", "--solver", "classic", "--prefix", prefix, "--channel", channel, package]


@pytest.mark.parametrize("start", ["Miniconda", "Miniforge", "json", "tutorial, unindented"])
def test_installs(place: Place, start: str, tmp_path: Path) -> None:
    """Conda installs a package of `conda-forge` and one of `defaults` through the file that was written."""
    tree = tmp_path / "site"
    for channel, package in (("pkgs/main", "tinymain"), ("pkgs/r", "tinyr"), ("cloud/conda-forge", "tinyforge")):
        conda.make_channel(tree / "anaconda" / channel, package)
    for path, data in STARTS[start][0].items():
        place.put(path, data)
    place.env.update(CONDA_PKGS_DIRS=str(tmp_path / "pkgs"), CONDA_SUBDIR="linux-64", CONDA_REMOTE_MAX_RETRIES="0")
    with conda.serve(tree) as (address, asked):
        place.write(wish(f"{address}/anaconda"))
        place.conda.run(install_words(place, "conda-forge", "tinyforge"), place.variables())
        place.conda.run(install_words(place, "defaults", "tinymain"), place.variables())
    assert (place.folder / "envs/tinyforge/share/tinyforge.txt").read_text() == "tinyforge came by conda-forge\n"
    assert (place.folder / "envs/tinymain/share/tinymain.txt").read_text() == "tinymain came by main\n"
    assert any("/anaconda/cloud/conda-forge/noarch/repodata" in path for path in asked)


def test_the_variables_of_exec(place: Place) -> None:
    """A borrowed mirror is what conda asks, for `defaults` and for a channel that is named; no file is written."""
    env = {**place.variables(), "PATH": ""}
    world = make_world(env, place.home, place.home, Paths.of(env, place.home))
    lent = environment.variables(["conda", "install", "numpy"], "nju", world)
    place.env = lent
    base = world.sites.serving("nju", "conda").url
    assert place.agreed() == (f"{base}/pkgs/main", f"{base}/pkgs/r")
    place.env = {**lent, "CONDA_CHANNELS": "conda-forge"}
    assert place.agreed() == (f"{base}/cloud/conda-forge",)
    assert list(place.home.glob("**/.condarc")) == []


TAUGHT = {
    "unindented": "channels:\n- defaults\ncustom_channels:\nconda-forge: {cloud}\npytorch: {cloud}\n",
    "on one line": "channels: - defaults custom_channels: conda-forge: {cloud} pytorch: {cloud}\n",
}


@pytest.mark.parametrize("block", TAUGHT.values(), ids=TAUGHT)
def test_the_tutorials_blocks_are_repaired(place: Place, block: str) -> None:
    """Before, conda ignores the channels, or the whole file; afterwards it knows where they are."""
    cloud = f"{BASE}/cloud"
    place.put("home/.condarc", block.format(cloud=cloud).encode())
    assert cloud not in _custom_channels(place)
    env = {**place.variables(), "PATH": ""}
    (change,) = diagnose(make_world(env, place.home, place.folder, Paths.of(env, place.home)), online=False).changes
    assert change.after is not None
    place.put("home/.condarc", change.after)
    for name in ("conda-forge", "pytorch"):
        assert f"  {name}: {cloud}\n" in _custom_channels(place)


def _custom_channels(place: Place) -> str:
    return place.conda.run(["config", "--show", "custom_channels"], place.variables())
