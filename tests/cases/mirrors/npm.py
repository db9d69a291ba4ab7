"""`.npmrc` files as people have them."""

# ruff: noqa: E501

from __future__ import annotations

from cases.mirrors.marked import SITE, Case, cases

_URL = SITE.families["npm"].url.encode()
_BODIES = {
    "empty": "< => registry=@n@\n>",
    "as npm config set writes it": "registry=<https://old.test/ => @n@>\n",
    "nothing to do": "registry=@n@\n",
    "spaces": "registry = <https://old.test/ => @n@>\n",
    "in quotes": 'registry = "<https://old.test/ => @n@>"\n',
    "in single quotes": "registry='<https://old.test/ => @n@>'\nfund=false\n",
    "comment behind": "registry=<https://old.test/ => @n@> ; the fast one\nfund=false\n",
    "hash behind": "registry=<https://old.test/ => @n@> # the fast one\nfund=false\n",
    "comments": "; my npm\n# 淘宝镜像\nregistry=<https://old.test/ => @n@>\n\n# no noise\nfund=false\naudit=false\n",
    "scopes have their own": "@corp:registry=https://npm.corp.test/\nregistry=<https://old.test/ => @n@>\n",
    "scopes only": "@corp:registry=https://npm.corp.test/\n//npm.corp.test/:_authToken=${NPM_TOKEN}\n< => registry=@n@\n>",
    "tokens": "//old.test/:_authToken=abc==\nregistry=<https://old.test/ => @n@>\nalways-auth=true\n",
    "variables": "prefix=${HOME}/.npm-global\nregistry=<${REGISTRY} => @n@>\ncache=${XDG_CACHE_HOME}/npm\n",
    "other settings": "prefix=~/.npm-global\nsave-exact=true\ninit-author-name=Me\n< => registry=@n@\n>",
    "twice, the later counts": "registry=https://a.test/\nfund=false\nregistry=<https://old.test/ => @n@>\n",
    "lists": "ca[]=one\nca[]=two\nregistry=<https://old.test/ => @n@>\nomit[]=dev\n",
    "a header hides what follows": "registry=<https://old.test/ => @n@>\n[section]\nregistry=https://hidden.test/\n",
    "new above a header": "fund=false\n< => registry=@n@\n>[section]\nregistry=https://hidden.test/\n",
    "header first": "< => registry=@n@\n>[section]\nregistry=https://hidden.test/\n",
    "binary mirrors of a tutorial": (
        "registry=<https://old.test => @n@>\nsass_binary_site=https://old.test/node-sass\n"
        "electron_mirror=https://old.test/electron/\ndisturl=https://old.test/dist\n"
    ),
    "no value": "registry=< => @n@>\nfund=false\n",
    "no sign": "registry< => =@n@>\nfund=false\n",
    "indented": "  registry=<https://old.test/ => @n@>\n  fund=false\n",
    "tabs": "registry\t=\t<https://old.test/ => @n@>\t\nfund\t=\tfalse\n",
    "commented out": ";registry=https://old.test/\n#registry=https://b.test/\n< => registry=@n@\n>",
    "names that begin alike": "registryx=a\nregistry-x=b\nregistry=<https://old.test/ => @n@>\nregistry.x=c\n",
    "capitals are another one": "REGISTRY=https://old.test/\n< => registry=@n@\n>",
    "proxy": "proxy=http://me:p%40ss@proxy.corp.test:8080/\nhttps-proxy=http://proxy.corp.test:8080/\n< => registry=@n@\n>",
    "pnpm": "shamefully-hoist=true\nstore-dir=D:\\.pnpm-store\nregistry=<https://old.test/ => @n@>\n",
    "blank lines": "\n\nregistry=<https://old.test/ => @n@>\n\n\nfund=false\n\n",
    "only a comment": "# nothing yet\n< => registry=@n@\n>",
    "odd lines": "]\n==\nregistry=<https://old.test/ => @n@>\n= x\n",
    "equal signs in the value": "registry=<https://old.test/?a=b=c => @n@>\nnode-options=--max-old-space-size=4096\n",
}
CASES = [
    *cases(_BODIES),
    Case("byte order mark", b"\xef\xbb\xbfregistry=x\r\n", b"\xef\xbb\xbfregistry=" + _URL + b"\r\n"),
    Case("new below a line without an end", b"fund=false", b"fund=false\nregistry=" + _URL + b"\n"),
    Case(
        "not UTF-8",
        "# 镜像\nregistry=x\n".encode("gbk"),
        "# 镜像\n".encode("gbk") + b"registry=" + _URL + b"\n",
    ),
]
