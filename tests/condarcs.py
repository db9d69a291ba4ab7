"""`.condarc` files as people have them, for the tests and for `benchmarks/editors.py`.

What is written here stands for what installers, help pages, tutorials, administrators and hand editing leave behind.
"""

from __future__ import annotations

WRITTEN: dict[str, str] = {
    # Nothing, or nearly.
    "empty": "",
    "one-blank-line": "\n",
    "blank-lines": "\n\n   \n",
    "comment-alone": "# my conda settings\n",
    "comment-no-newline": "# my conda settings",
    "marker-alone": "---\n",
    "marker-and-comment": "# before\n---\n# after\n",
    "marker-and-end": "---\n...\n",
    "braces": "{}\n",
    "channels-nothing": "channels:\n",
    "everything-nothing": "channels:\ncustom_channels:\ndefault_channels:\n",
    "custom-channels-nothing": "channels:\n  - defaults\nshow_channel_urls: true\ncustom_channels:\n",
    "custom-channels-tilde": "custom_channels: ~\nchannels: ~\n",
    "custom-channels-null-word": "custom_channels: null  # to do\nauto_activate_base: false\n",
    "custom-channels-braces": "custom_channels: {}\nssl_verify: true\n",
    # Installers.
    "miniconda-root": "channels:\n  - defaults\n",
    "miniforge-root": "channels:\n  - conda-forge\n",
    "miniforge-mirrored": (
        "mirrored_channels:\n  conda-forge:\n    - https://conda.anaconda.org/conda-forge\n"
        "    - https://prefix.dev/conda-forge\n\nchannels:\n  - conda-forge\n"
    ),
    "mambaforge-root": "channels:\n- conda-forge\n",
    "anaconda-with-prompt": "auto_activate_base: false\nchangeps1: true\nchannels:\n  - defaults\n",
    "conda-init": "auto_activate_base: false\n",
    "conda-config-add": "channels:\n  - bioconda\n  - conda-forge\n  - defaults\nchannel_priority: strict\n",
    # Help pages and tutorials.
    "tuna-help": (
        "channels:\n  - defaults\nshow_channel_urls: true\ndefault_channels:\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/r\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/msys2\n"
        "custom_channels:\n  conda-forge: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "  pytorch: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
    ),
    "tuna-2019": (
        "channels:\n  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/free/\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main/\n  - defaults\nshow_channel_urls: true\n"
    ),
    "tuna-alias": (
        "channels:\n  - defaults\nshow_channel_urls: true\n"
        "channel_alias: https://mirrors.tuna.tsinghua.edu.cn/anaconda\n"
        "default_channels:\n  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/free\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/r\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/pro\n"
        "custom_channels:\n  conda-forge: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "  msys2: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "  bioconda: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "  menpo: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "  pytorch: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
    ),
    "tutorial-unindented": (
        "channels:\n  - defaults\nshow_channel_urls: true\ndefault_channels:\n"
        "  - https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main\n"
        "custom_channels:\nconda-forge: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
        "pytorch: https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud\n"
    ),
    "ustc-help": (
        "channels:\n  - nodefaults\ncustom_channels:\n  conda-forge: https://mirrors.ustc.edu.cn/anaconda/cloud\n"
        "  bioconda: https://mirrors.ustc.edu.cn/anaconda/cloud\nshow_channel_urls: true\n"
    ),
    "conda-docs-mirror": "custom_channels:\n    conda-forge: https://my-mirror.com/conda-forge\n",
    "aliyun-http": (
        "channels:\n  - defaults\nshow_channel_urls: true\nssl_verify: false\ndefault_channels:\n"
        "  - http://mirrors.aliyun.com/anaconda/pkgs/main\n  - http://mirrors.aliyun.com/anaconda/pkgs/r\n"
    ),
    "bioconda-order": "channels:\n  - conda-forge\n  - bioconda\nchannel_priority: strict\n",
    "nvidia-order": "channels:\n  - pytorch\n  - nvidia\n  - conda-forge\n  - defaults\n",
    # Indents.
    "zero-indent": "channels:\n- conda-forge\n- defaults\ncustom_channels:\n  pytorch: https://m.example.com/cloud\n",
    "four-spaces": (
        "channels:\n    - conda-forge\n    - defaults\ncustom_channels:\n    pytorch: https://m.example.com/cloud\n"
    ),
    "one-space": "channels:\n - conda-forge\ncustom_channels:\n pytorch: https://m.example.com/cloud\n",
    "seven-spaces": "channels:\n       - a\ncustom_channels:\n       pytorch: https://m.example.com/cloud\n",
    "wide-dash": "channels:\n  -   conda-forge\n  -   defaults\n",
    "uneven-dash": "channels:\n  -  conda-forge\n  - defaults\n  -    bioconda\n",
    "whole-file-indented": "  channels:\n    - defaults\n  show_channel_urls: no\n",
    "mixed-indents": (
        "channels:\n- a\ndefault_channels:\n      - https://x.example.com/pkgs/main\ncustom_channels:\n   q: https://q/c\n"
    ),
    "space-before-colon": "channels :\n  - a\nshow_channel_urls : false\n",
    "aligned-values": "show_channel_urls:    false\nssl_verify:           true\nchannel_priority:     strict\n",
    # Comments and blank lines.
    "comments-everywhere": (
        "# head\n\nchannels: # strongest first\n  # the usual\n  - conda-forge # community\n\n  # the rest\n"
        "  - defaults   # Anaconda\n# between\nshow_channel_urls: false # noisy\n\n# tail\n"
    ),
    "comment-in-map": (
        "custom_channels:  # by channel\n  # works at the office only\n"
        "  conda-forge: https://office.example.com/cloud # vpn\n  # pytorch: https://office.example.com/cloud\n"
        "  # nvidia: none\nssl_verify: true\n"
    ),
    "commented-out-items": "channels:\n  - defaults\n  # - conda-forge\n  # - bioconda\n",
    "commented-out-items-zero": "channels:\n- defaults\n# - conda-forge\n# - bioconda\n",
    "commented-out-settings": "#channels:\n#  - defaults\n#ssl_verify: false\nreport_errors: false\n",
    "deep-tail-comment": "custom_channels:\n  q: https://q/c\n      # very deep\n\n  # less deep\n# not deep\n",
    "comment-behind-nothing": "channels: # none yet\nshow_channel_urls: # neither\n",
    "chinese-comments": "# 清华镜像\nchannels:\n  - defaults  # 默认频道\n# 结束\n",
    "banner": "#" * 56 + "\n# Managed by hand since 2019. Ask before you change it. #\n\nchannels: [defaults]\n",
    "trailing-spaces": "channels:   \n  - defaults   \nshow_channel_urls: true  \n",
    "many-blank-lines": "\n\nchannels:\n\n\n  - conda-forge\n\n\n\n  - defaults\n\n\nssl_verify: true\n\n\n\n",
    "tab-in-comment": "channels:\n  - defaults  # a\ttab\n#\tand here\n",
    "flags": "channels: #!final\n  - defaults #!top\n  - conda-forge #!bottom\n",
    # Flow style.
    "flow-list": "channels: [conda-forge, defaults]\n",
    "flow-list-padded": "channels: [ conda-forge , defaults ]\n",
    "flow-list-tight": "channels: [conda-forge,defaults,bioconda]\n",
    "flow-list-empty": "channels: []\ncustom_channels: {}\n",
    "flow-list-lines": "channels: [\n  conda-forge,  # one\n  defaults,  # two\n]\nssl_verify: true\n",
    "flow-list-commas": "channels: [conda-forge, defaults, ]\n",
    "flow-map": "custom_channels: {conda-forge: https://m.example.com/cloud, pytorch: https://m.example.com/cloud}\n",
    "flow-map-padded": "custom_channels: { pytorch: https://m.example.com/cloud }\n",
    "flow-map-lines": (
        "custom_channels: {\n  # mine\n  conda-forge: https://m.example.com/cloud,\n"
        "  pytorch: https://m.example.com/cloud  # slow\n}\n"
    ),
    "all-flow": "{channels: [a, defaults], show_channel_urls: false, custom_channels: {q: https://q.example.com/c}}\n",
    "json": (
        '{\n  "channels": ["conda-forge", "defaults"],\n  "show_channel_urls": false,\n'
        '  "custom_channels": {"q": "https://q.example.com/c"}\n}\n'
    ),
    "flow-in-marker": "--- {channels: [a]}\n",
    # Quotes.
    "single-quotes": "channels:\n  - 'conda-forge'\n  - 'defaults'\n'show_channel_urls': false\n",
    "double-quotes": '"channels":\n  - "conda-forge"\ncustom_channels:\n  "conda-forge": "https://m.example.com/cloud"\n',
    "escaped": 'channels: ["conda\\x2dforge", "def\\u0061ults"]\n',
    "mixed-quotes": "default_channels: ['https://a.example.com/pkgs/main', \"https://a.example.com/pkgs/r\"]\n",
    # Spellings of yes and no.
    "yes": "show_channel_urls: yes\nauto_activate_base: no\n",
    "capital": "show_channel_urls: True\nssl_verify: FALSE\n",
    "quoted-bool": "show_channel_urls: 'true'\n",
    # Anchors, aliases, merges.
    "anchor-value": (
        "custom_channels:\n  conda-forge: &tuna https://m.example.com/cloud\n  pytorch: *tuna\n  bioconda: *tuna\n"
    ),
    "anchor-elsewhere": "x-mirror: &m https://m.example.com/cloud\ncustom_channels:\n  conda-forge: *m\n  q: *m\n",
    "anchor-list": "channels: &list [conda-forge, defaults]\ncreate_default_packages: *list\n",
    "anchor-item": "channels:\n  - &cf conda-forge\n  - defaults\nallowlist_channels:\n  - *cf\n",
    "merge-key": (
        "x-common: &common {bioconda: https://m.example.com/cloud}\ncustom_channels:\n  <<: *common\n"
        "  pytorch: https://p.example.com/cloud\n"
    ),
    # Scalars over several lines.
    "folded": "custom_channels:\n  conda-forge: >-\n    https://m.example.com/cloud\n  pytorch: https://p.example.com/c\n",
    "literal-beside": "channels:\n  - defaults\nx-note: |\n  - not a list\n  channels: no\n\n# tail\n",
    "plain-over-lines": "env_prompt: two\n  lines\nchannels:\n  - defaults\n",
    # Everything an administrator sets.
    "proxies": (
        "proxy_servers:\n  http: http://user:p%40ss@proxy.example.com:3128\n"
        "  https: http://user:p%40ss@proxy.example.com:3128\nchannels:\n  - defaults\nssl_verify: /etc/ssl/corp.pem\n"
    ),
    "private-channel": (
        "channels:\n  - https://user:secret@conda.example.com/private\n  - https://conda.example.com/t/tk-123/lab\n"
        "  - defaults\n"
    ),
    "multichannels": (
        "custom_multichannels:\n  lab:\n    - https://conda.example.com/lab\n    - bioconda\n"
        "channels:\n  - lab\n  - defaults\n"
    ),
    "channel-settings": (
        "channels:\n  - defaults\nchannel_settings:\n  - channel: https://conda.example.com/*\n    auth: oauth\n"
        "  - channel: conda-forge\n    auth: none\n"
    ),
    "folders": (
        "envs_dirs:\n  - /data/envs\n  - ~/envs\npkgs_dirs:\n  - /data/pkgs\nchannels:\n  - defaults\n"
        "auto_activate_base: false\n"
    ),
    "windows-folders": "envs_dirs:\n  - D:\\conda\\envs\npkgs_dirs: ['D:\\conda\\pkgs']\nchannels:\n  - defaults\n",
    "singular-channel": "channel:\n  - conda-forge\n",
    "numbers": "remote_read_timeout_secs: 60.5\nremote_max_retries: 6\nlocal_repodata_ttl: 1\nfetch_threads: 0x10\n",
    "variables": "channels:\n  - https://conda.example.com/$LAB/main\nenvs_dirs: [$HOME/envs, '${HOME}/more']\n",
    "mirrored-already": (
        "mirrored_channels:\n  conda-forge: [https://m.example.com/cloud/conda-forge]\nchannels: [conda-forge]\n"
    ),
    "long-line": (
        f"channels:\n  - https://conda.example.com/{'x' * 200}\n"
        f"create_default_packages: [{', '.join(f'package-{n}' for n in range(40))}]\n"
    ),
    "directive": "%YAML 1.2\n---\nchannels:\n  - defaults\n",
}  # fmt: skip
_VARIED = (
    "tuna-help",
    "tuna-alias",
    "comments-everywhere",
    "comment-in-map",
    "flow-list-lines",
    "flow-map-lines",
    "zero-indent",
    "single-quotes",
    "many-blank-lines",
    "custom-channels-nothing",
    "anchor-value",
    "miniforge-mirrored",
)


def _variants() -> dict[str, bytes]:
    """Return the same files as Windows, other editors and `echo -n` leave them."""
    found = {}
    for name in _VARIED:
        text = WRITTEN[name]
        found[f"{name}, CRLF"] = text.replace("\n", "\r\n").encode()
        found[f"{name}, BOM"] = b"\xef\xbb\xbf" + text.encode()
        found[f"{name}, BOM and CRLF, no final newline"] = (
            b"\xef\xbb\xbf" + text.rstrip("\n").replace("\n", "\r\n").encode()
        )
        found[f"{name}, no final newline"] = text.rstrip("\n").encode()
    return found


CONDARCS: dict[str, bytes] = {name: text.encode() for name, text in WRITTEN.items()} | _variants()

# What cannot be parsed, and the line that says so.
BROKEN: dict[str, tuple[bytes, int]] = {
    "tab-before-comment": (b"channels:\n  - defaults\t# here\n", 2),
    "tab": (b"channels:\n\t- defaults\n", 2),
    "tutorial-on-one-line": (b"channels: - defaults show_channel_urls: true default_channels:\n", 1),
    "key-twice": (b"channels:\n  - a\nssl_verify: true\nchannels:\n  - b\n", 4),
    "two-documents": (b"channels: [a]\n---\nchannels: [b]\n", 2),
    "bracket-open": (b"channels: [a, b\nssl_verify: true\n", 2),
    "quote-open": (b"channels:\n  - 'a\n", 3),
    "alias-of-nothing": (b"channels: *nobody\n", 1),
    "no-mapping": (b"- defaults\n- conda-forge\n", 1),
    "a-word": (b"defaults\n", 1),
    "gbk": ("# 注释\nchannels: [a]\n".encode("gbk"), 1),
    "indent-too-small": (b"channels:\n    - a\n  - b\n", 3),
    "value-behind-list": (b"channels:\n  - a\n  b: c\n", 3),
    "control-character": (b"channels: [a]\nx: \x07\n", 2),
}

# What conda reads and we leave alone: `channels` cannot be changed there without touching something else.
REFUSED: dict[str, bytes] = {
    "dash-on-its-own-line": b"channels:\n  -\n    conda-forge\n  - defaults\n",
    "mapping-for-a-list": b"channels:\n  a: b\n",
    "anchor-over-lines": b"channels: &c\n  - a\n  - b\nallowlist_channels: *c\n",
}
