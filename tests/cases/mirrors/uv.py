"""`uv.toml` files as people have them."""

# ruff: noqa: E501

from __future__ import annotations

from cases.mirrors.marked import SITE, Case, cases

_PYTHON = 'python-install-mirror = "@b@"\n'
_ENTRY = '[[index]]\nurl = "@p@"\ndefault = true\n'
_URL, _BUILDS = SITE.families["pypi"].url.encode(), SITE.families["python"].url.encode()
_BODIES = {
    "empty": f"< => {_PYTHON}\n{_ENTRY}>",
    "nothing to do": f"{_PYTHON}\n{_ENTRY}",
    "one default": f'< => {_PYTHON}\n>[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n',
    "default first": f'< => {_PYTHON}\n>[[index]]\ndefault = true\nurl = "<https://old.test/simple => @p@>"\n',
    "named": f'< => {_PYTHON}\n>[[index]]\nname = "tuna"\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n',
    "literal string": f"< => {_PYTHON}\n>[[index]]\nurl = '<https://old.test/simple => @p@>'\ndefault = true\n",
    "comments": (
        f'# uv\n\nnative-tls = true # corp\n< => {_PYTHON}>\n# where from\n[[index]] # one\nurl = "<https://old.test => @p@>" '
        "# two\ndefault = true # three\n# the end\n"
    ),
    "settings": f'native-tls = true\nlink-mode = "copy"\n< => {_PYTHON}\n{_ENTRY}>',
    "PyTorch beside": (
        f'< => {_PYTHON}\n>[[index]]\nname = "pytorch-cu128"\nurl = "https://torch.test/whl/cu128"\nexplicit = true\n\n'
        '[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n'
    ),
    "PyTorch alone": (
        f'< => {_PYTHON}\n>[[index]]\nname = "pytorch-cu128"\nurl = "https://torch.test/whl/cu128"\nexplicit = true\n'
        f"< => \n{_ENTRY}>"
    ),
    "three indexes, default in the middle": (
        f'< => {_PYTHON}\n>[[index]]\nurl = "https://a.test/simple"\n\n[[index]]\nurl = "<https://old.test/simple => @p@>"\n'
        'default = true\n\n[[index]]\nurl = "https://b.test/simple"\ndefault = false\n'
    ),
    "two defaults, the first counts": (
        f'< => {_PYTHON}\n>[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n\n'
        '[[index]]\nurl = "https://b.test/simple"\ndefault = true\n'
    ),
    "pip table": f'< => {_PYTHON}\n>[pip]\nindex-url = "https://old.test/simple"\nno-deps = false\n< => \n{_ENTRY}>',
    "old index-url": f'index-url = "https://old.test/simple"\n< => {_PYTHON}\n{_ENTRY}>',
    "old extra-index-url": (
        'index-url = "https://old.test/simple"\nextra-index-url = [\n  "https://a.test/simple", # one\n'
        f'  "https://b.test/simple",\n]\n< => {_PYTHON}\n{_ENTRY}>'
    ),
    "Python mirror there": (
        'python-install-mirror = "<https://old.test/builds => @b@>"\npython-preference = "managed"\n\n'
        '[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n'
    ),
    "key of no effect below an entry": (
        f'< => {_PYTHON}\n>[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n'
        'python-install-mirror = "https://old.test/ignored"\n'
    ),
    "inline array": (
        f"index = [{{ url = '<https://old.test/simple => @p@>', default = true }}]\nnative-tls = true\n< => {_PYTHON}>"
    ),
    "inline array over lines": (
        'index = [\n  { name = "torch", url = "https://torch.test/whl", explicit = true },\n'
        f'  {{ url = "<https://old.test/simple => @p@>", default = true }}, # mine\n]\n< => {_PYTHON}>'
    ),
    "inline array without a default": (
        'index = [< => { url = "@p@", default = true }, >{ url = "https://a.test/simple" }]\n< => ' + _PYTHON + ">"
    ),
    "spaces": (
        f'< => {_PYTHON}\n>  [[ index ]]\n    url    =    "<https://old.test/simple => @p@>"\n    default    =    true\n'
    ),
    "keys in quotes": f'< => {_PYTHON}\n>[["index"]]\n"url" = "<https://old.test/simple => @p@>"\n"default" = true\n',
    "dotted keys": f'pip.no-deps = true\npip."index-strategy" = "first-index"\n< => {_PYTHON}\n{_ENTRY}>',
    "long strings": (
        'required-version = """==0.13.9"""\ncache-dir = \'\'\'/tmp/[[index]]\nurl = "x"\'\'\'\n'
        f'< => {_PYTHON}>\n[[index]]\nurl = <"""https://old.test/simple""" => "@p@">\ndefault = true\n'
    ),
    "sources and the like": (
        f'< => {_PYTHON}\n>[[dependency-metadata]]\nname = "flash-attn"\nrequires-dist = ["torch", "einops"]\n\n'
        '[extra-build-dependencies]\nflash-attn = [{ requirement = "torch", match-runtime = true }]\n'
        f"< => \n{_ENTRY}>"
    ),
    "cache keys with tables inside": (
        'cache-keys = [{ file = "pyproject.toml" }, { git = { commit = true, tags = true } }]\n'
        f'< => {_PYTHON}>\n[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n'
    ),
    "numbers and dates": (
        f'concurrent-downloads = 10\nexclude-newer = "2026-01-01T00:00:00Z"\n< => {_PYTHON}>\n[[index]]\n'
        'url = "<https://old.test/simple => @p@>"\ndefault = true\n'
    ),
    "entry in the middle of tables": (
        f'< => {_PYTHON}\n>[pip]\nsystem = true\n\n[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n\n'
        "[audit]\nx = 1\n"
    ),
    "only a comment": f"< => {_PYTHON}\n># nothing yet\n< => \n{_ENTRY}>",
    "comment above the entry": (
        f'< => {_PYTHON}\n># the mirror 镜像\n[[index]]\nurl = "<https://old.test/simple => @p@>"\ndefault = true\n'
    ),
    "address with a password": (
        f'< => {_PYTHON}\n>[[index]]\nurl = "<https://me:p%40ss@old.test/simple => @p@>"\nauthenticate = "always"\n'
        "default = true\n"
    ),
    "flat index": (
        f'find-links = ["/opt/wheels"]\nno-index = false\n< => {_PYTHON}>\n[[index]]\nname = "flat"\n'
        'url = "https://a.test/wheels"\nformat = "flat"\n\n[[index]]\nurl = "<https://old.test => @p@>"\ndefault = true\n'
    ),
}
CASES = [
    *cases(_BODIES),
    Case(
        "byte order mark",
        b'\xef\xbb\xbfnative-tls = true\n\n[[index]]\nurl = "x"\ndefault = true\n',
        b'\xef\xbb\xbfnative-tls = true\npython-install-mirror = "'
        + _BUILDS
        + b'"\n\n[[index]]\nurl = "'
        + _URL
        + b'"\n'
        b"default = true\n",
    ),
    Case(
        "new below a line without an end",
        b"native-tls = true",
        b'native-tls = true\npython-install-mirror = "'
        + _BUILDS
        + b'"\n\n[[index]]\nurl = "'
        + _URL
        + b'"\ndefault = true\n',
    ),
]
REFUSED = {
    "no quotes": (b"native-tls = true\nindex-url = https://old.test\n", 2),
    "the same key twice": (b'index-url = "a"\nnative-tls = true\nindex-url = "b"\n', 3),
    "string left open": (b'index-url = "a\n', 1),
    "array left open": (b"extra-index-url = [\n", 2),
    "bare key": (b"# x\nnative-tls\n", 2),
    "an ini file": (b"[global]\nindex-url = https://old.test\n", 2),
    "GBK": (b"# \xbe\xb5\xcf\xf1\n", 1),
    "old Macintosh line ends": (b"native-tls = true\rindex-url = 'a'\r", 1),
}
UNTOUCHABLE = {
    "empty inline array": b"index = []\n",
}
