"""pip's configuration files as people have them."""

# ruff: noqa: E501

from __future__ import annotations

from cases.mirrors.marked import SITE, Case, cases

_URL = SITE.families["pypi"].url.encode()
_BODIES = {
    "empty": "< => [global]\nindex-url = @p@\n>",
    "only a header": "[global]\n< => index-url = @p@\n>",
    "as pip config set writes it": "[global]\nindex-url = <https://old.test/simple => @p@>\n",
    "nothing to do": "[global]\nindex-url = @p@\n",
    "no spaces": "[global]\nindex-url=<https://old.test/simple => @p@>\n",
    "colon": "[global]\nindex-url: <https://old.test/simple => @p@>\n",
    "colon without a space": "[global]\nindex-url:<https://old.test/simple => @p@>\n",
    "underscore": "[global]\nindex_url = <https://old.test/simple => @p@>\n",
    "capitals": "[global]\nIndex-URL = <https://old.test/simple => @p@>\nTimeout = 60\n",
    "as on the command line": "[global]\n--index-url = <https://old.test/simple => @p@>\n",
    "many spaces": "[global]\nindex-url    =    <https://old.test/simple => @p@>\ntimeout      =    60\n",
    "tabs": "[global]\nindex-url\t=\t<https://old.test/simple => @p@>\ntimeout\t=\t60\n",
    "space behind": "[global]\nindex-url = <https://old.test/simple => @p@>  \ntimeout = 60\t\n",
    "tutorial of a university": (
        "[global]\nindex-url = <https://old.test/simple => @p@>\n[install]\ntrusted-host = old.test\n"
    ),
    "comments everywhere": (
        "# my pip\n; do not touch\n\n[global]\n# where from\nindex-url = <https://old.test/simple => @p@>\n"
        "; how long\ntimeout = 60\n# the end\n"
    ),
    "comments in Chinese": (
        "# 清华镜像，勿删\n[global]\n# 默认索引\nindex-url = <https://old.test/simple => @p@>\n# 超时（秒）\ntimeout = 60\n"
    ),
    "blank lines": "\n\n[global]\n\n\nindex-url = <https://old.test/simple => @p@>\n\n\ntimeout = 60\n\n\n",
    "company proxy": (
        "[global]\n< => index-url = @p@\n>proxy = http://me:p%40ss@proxy.corp.test:8080\ncert = /etc/ssl/corp.pem\n"
    ),
    "percent signs": "[global]\nindex-url = <https://me:a%2Fb@old.test/simple => @p@>\nlog = /tmp/pip-%d.log\n",
    "extra indexes": (
        "[global]\nindex-url = <https://old.test/simple => @p@>\nextra-index-url =\n    https://a.test/simple\n"
        "    https://b.test/simple\ntrusted-host =\n    a.test\n    b.test\n"
    ),
    "extra indexes only": "[global]\n< => index-url = @p@\n>extra-index-url = https://a.test/simple\n",
    "comments among lines of a value": (
        "[global]\nfind-links =\n    /opt/wheels\n    # on the share\n    /mnt/wheels\n"
        "index-url = <https://old.test/simple => @p@>\n"
    ),
    "value on the next line": "[global]\nindex-url =< =>  @p@>\n<    https://old.test/simple\n => >timeout = 60\n",
    "value on the next line, comment between": (
        "[global]\nindex-url =< =>  @p@>\n    # the fast one\n<    https://old.test/simple\n => >timeout = 60\n"
    ),
    "two lines of value": "[global]\nindex-url = <https://old.test => @p@>\n<    /simple\n => >timeout = 60\n",
    "empty value": "[global]\nindex-url =< =>  @p@>\ntimeout = 60\n",
    "empty value without spaces": "[global]\nindex-url=< => @p@>\ntimeout=60\n",
    "install wins": (
        "[global]\nindex-url = <https://old.test/simple => @p@>\n\n"
        "[install]\nindex-url = <https://other.test/simple => @p@>\n"
    ),
    "install wins, in another spelling": (
        "[global]\nindex-url = <https://old.test/simple => @p@>\n\n"
        "[install]\nIndex_URL: <https://other.test/simple => @p@>\nuser = true\n"
    ),
    "install alone": (
        "[install]\nindex-url = <https://old.test/simple => @p@>\nno-deps = false\n< => \n[global]\nindex-url = @p@\n>"
    ),
    "several commands": (
        "[global]\n< => index-url = @p@\n>timeout = 10\n[download]\nindex-url = <https://old.test/simple => @p@>\n"
        "[wheel]\nwheel-dir = /tmp/wheels\n[list]\nformat = columns\n"
    ),
    "other sections only": "[list]\nformat = columns\n\n[freeze]\ntimeout = 10\n< => \n[global]\nindex-url = @p@\n>",
    "other sections, blank line last": "[list]\nformat = columns\n\n< => [global]\nindex-url = @p@\n>",
    "section in capitals is another one": (
        "[Global]\nindex-url = https://old.test/simple\n< => \n[global]\nindex-url = @p@\n>"
    ),
    "spaces in the header are another one": (
        "[ global ]\nindex-url = https://old.test/simple\n< => \n[global]\nindex-url = @p@\n>"
    ),
    "global is last": "[install]\nno-cache-dir = yes\n[global]\n< => index-url = @p@\n>timeout = 3\n",
    "global is in the middle": (
        "[list]\nformat = json\n[global]\ntimeout = 3\nindex-url = <https://old.test/simple => @p@>\n[install]\nuser = 1\n"
    ),
    "indented options": "[global]\n    timeout = 60\n    index-url = <https://old.test/simple => @p@>\n",
    "indented options, key is new": "[global]\n< =>     index-url = @p@\n>    timeout = 60\n    retries = 3\n",
    "indented by a tab, key is new": "[global]\n< => \tindex-url = @p@\n>\ttimeout = 60\n",
    "comment behind the header": "[global] ; all commands\n< => index-url = @p@\n>timeout = 60\n",
    "comment is part of the value": "[global]\nindex-url = <https://old.test/simple  # fast => @p@>\ntimeout = 60\n",
    "commented out": "[global]\n< => index-url = @p@\n>#index-url = https://old.test/simple\n;index-url = https://b.test\n",
    "both spellings, the later counts": (
        "[global]\nindex-url = https://a.test/simple\nindex_url = <https://old.test/simple => @p@>\n"
    ),
    "long names that begin alike": (
        "[global]\nindex-url-x = https://a.test\nindex = https://b.test/pypi\nindex-url = <https://old.test => @p@>\n"
    ),
    "search and upload": (
        "[global]\nindex = https://old.test/pypi\nindex-url = <https://old.test/simple => @p@>\n[search]\nindex = "
        "https://old.test/pypi\n"
    ),
    "lists written with commas": (
        "[global]\nno-binary = lxml,numpy\nindex-url = <https://old.test/simple => @p@>\nonly-binary = :none:\n"
    ),
    "windows paths": (
        "[global]\nindex-url = <https://old.test/simple => @p@>\ncache-dir = D:\\pip cache\\\nfind-links = file:///D:/wheels\n"
    ),
    "equal signs in values": (
        "[global]\nindex-url = <https://old.test/simple?a=1&b=[2] => @p@>\nconfig-settings = --x=[y]=z\n"
    ),
    "a value that looks like a header": (
        "[global]\nconstraint =\n    [a].txt\n    b.txt\nindex-url = <https://old.test/simple => @p@>\n"
    ),
    "only a comment": "# nothing yet\n< => \n[global]\nindex-url = @p@\n>",
    "only blank lines": "\n\n< => [global]\nindex-url = @p@\n>",
    "require virtualenv": "[global]\n< => index-url = @p@\n>require-virtualenv = true\n\n[install]\ncompile = no\n",
}
CASES = [
    *cases(_BODIES),
    Case("header without an end", b"[global]", b"[global]\nindex-url = " + _URL),
    Case("byte order mark", b"\xef\xbb\xbf[global]\r\nindex-url = x\r\n", b"[global]\r\nindex-url = " + _URL + b"\r\n"),
    Case(
        "comments in GBK",
        "# 镜像\n[global]\nindex-url = x\n".encode("gbk"),
        "# 镜像\n[global]\nindex-url = ".encode("gbk") + _URL + b"\n",
    ),
    Case(
        "old Macintosh line ends",
        b"[global]\rtimeout = 3\rindex-url = x\r",
        b"[global]\rtimeout = 3\rindex-url = " + _URL + b"\r",
    ),
    Case(
        "mixed line ends",
        b"[global]\ntimeout = 3\r\nindex-url = x\r\n",
        b"[global]\ntimeout = 3\r\nindex-url = " + _URL + b"\r\n",
    ),
]
REFUSED = {
    "key before any section": (b"index-url = x\n[global]\n", 1),
    "key before any section, below comments": (b"# x\n\nindex-url = x\n", 3),
    "the same key twice": (b"[global]\nindex-url = a\ntimeout = 3\nindex-url = b\n", 4),
    "the same key in two cases": (b"[global]\nindex-url = a\nIndex-Url = b\n", 3),
    "the same section twice": (b"[global]\ntimeout = 3\n[list]\n[global]\nindex-url = a\n", 4),
    "neither key nor header": (b"[global]\nindex-url\n", 2),
    "header left open": (b"[global\nindex-url = a\n", 1),
    "written by PowerShell in UTF-16": ("\ufeff[global]\nindex-url = a\n".encode("utf-16-le"), 1),
    "a web page": (b"<!DOCTYPE html>\n<html></html>\n", 1),
}
