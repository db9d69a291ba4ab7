"""Files of apt as people have them, and what becomes of each: `<old => new>` is what changes, all else stays.

The distributions' own hosts are put together here, so that no text of this repository holds one whole.
"""

# ruff: noqa: E501

from __future__ import annotations

import re
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Serving, Site, Wish

MIRROR = "https://mirror.test"


def _host(*labels: str) -> str:
    return ".".join(labels)


HOSTS = {
    "@deb@": _host("deb", "debian", "org"),
    "@debsec@": _host("security", "debian", "org"),
    "@debold@": _host("archive", "debian", "org"),
    "@debcn@": _host("ftp", "cn", "debian", "org"),
    "@ubu@": _host("archive", "ubuntu", "com"),
    "@ubucn@": _host("cn", "archive", "ubuntu", "com"),
    "@ubusec@": _host("security", "ubuntu", "com"),
    "@ubuports@": _host("ports", "ubuntu", "com"),
    "@ubuold@": _host("old-releases", "ubuntu", "com"),
    "@m@": MIRROR,
}
SITE = Site(
    id="mirror",
    title=Text(en="Mirror", zh="镜像"),
    checked_on="2026-09-01",
    families={
        "apt": Serving(
            MIRROR,
            "full",
            "https://mirror.test/help",
            paths={name: name for name in ("debian", "debian-security", "ubuntu", "ubuntu-ports")},
        )
    },
)
WISH, WITH_SECURITY = Wish(SITE), Wish(SITE, security=True)
_CHANGE = re.compile(r"<([^<>]*) => ([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Case:
    """A file: `name` ends as apt's files do."""

    name: str
    template: str
    wish: Wish = WISH

    def _filled(self) -> str:
        text = self.template
        for mark, host in HOSTS.items():
            text = text.replace(mark, host)
        return text

    @property
    def before(self) -> bytes:
        """The file as it was."""
        return _CHANGE.sub(r"\1", self._filled()).encode()

    @property
    def after(self) -> bytes:
        """The file as it is to be."""
        return _CHANGE.sub(r"\2", self._filled()).encode()


DEBIAN_KEY = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
UBUNTU_KEY = "Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n"
DEBIAN = "Types: deb\nURIs: <http://@deb@/debian => @m@/debian>\nSuites: bookworm bookworm-updates\nComponents: main\n"

CASES = [
    # deb822 as the distributions ship it
    Case(
        "debian-container.sources",
        "Types: deb\n# http://snapshot.example/archive/debian/20250520T000000Z\n"
        "URIs: <http://@deb@/debian => @m@/debian>\nSuites: bookworm bookworm-updates\nComponents: main\n" + DEBIAN_KEY + "\n"
        "Types: deb\n# http://snapshot.example/archive/debian-security/20250520T000000Z\n"
        "URIs: http://@deb@/debian-security\nSuites: bookworm-security\nComponents: main\n" + DEBIAN_KEY,
    ),
    Case(
        "debian-with-security.sources",
        "Types: deb\nURIs: <http://@deb@/debian => @m@/debian>\nSuites: trixie trixie-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n\nTypes: deb\n"
        "URIs: <http://@debsec@/debian-security => @m@/debian-security>\nSuites: trixie-security\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n",
        WITH_SECURITY,
    ),
    Case(
        "ubuntu.sources",
        "# See http://help.ubuntu.example/community/UpgradeNotes\n## Ubuntu distribution repository\nTypes: deb\n"
        "URIs: <http://@ubu@/ubuntu/ => @m@/ubuntu/>\nSuites: noble noble-updates noble-backports\n"
        "Components: main universe restricted multiverse\n" + UBUNTU_KEY + "\n## security\nTypes: deb\n"
        "URIs: http://@ubusec@/ubuntu/\nSuites: noble-security\nComponents: main universe restricted multiverse\n" + UBUNTU_KEY,
    ),
    Case(
        "ubuntu-with-security.sources",
        "Types: deb\nURIs: <http://@ubu@/ubuntu => @m@/ubuntu>\nSuites: noble\nComponents: main\n" + UBUNTU_KEY + "\n"
        "Types: deb\nURIs: <http://@ubusec@/ubuntu => @m@/ubuntu>\nSuites: noble-security\nComponents: main\n" + UBUNTU_KEY,
        WITH_SECURITY,
    ),
    Case(
        "arm64.sources",
        "Types: deb\nURIs: <http://@ubuports@/ubuntu-ports/ => @m@/ubuntu-ports/>\nSuites: noble noble-updates\n"
        "Components: main universe\n" + UBUNTU_KEY,
    ),
    # layouts
    Case("no-final-newline.sources", DEBIAN + DEBIAN_KEY.rstrip("\n")),
    Case("crlf.sources", (DEBIAN + DEBIAN_KEY + "\n" + DEBIAN.replace("bookworm", "sid") + DEBIAN_KEY).replace("\n", "\r\n")),
    Case(
        "folded.sources",
        "Types: deb\nURIs:\n <http://@deb@/debian => @m@/debian>\nSuites:\n bookworm\n\tbookworm-updates\n"
        "Components: main\n contrib\n" + DEBIAN_KEY,
    ),
    Case(
        "comments-inside.sources",
        "# first\n\n# second\nTypes: deb\n# about the address\nURIs:\n# the usual\n  <http://@deb@/debian => @m@/debian>  \n"
        "#URIs: http://@debcn@/debian\nSuites: bookworm\n#Components: none\nComponents: main\n" + DEBIAN_KEY + "#last\n\n# end",
    ),
    Case(
        "odd-case.sources",
        "types: deb\nuRIs : <http://@deb@/debian => @m@/debian>\nSUITES:bookworm\ncomponents:\tmain\nsigned-by:"
        " /usr/share/keyrings/debian-archive-keyring.gpg\n",
    ),
    Case(
        "said-twice.sources",
        "Types: deb\nURIs: http://first.example/debian\nURIs: <http://@deb@/debian => @m@/debian>\nSuites: bookworm\n"
        "Components: main\n" + DEBIAN_KEY,
    ),
    Case("spaces-are-no-end.sources", DEBIAN + " \t\n" + DEBIAN_KEY),
    Case("many-blank-lines.sources", "\n\n\n" + DEBIAN + "\n\n\r\n\n" + DEBIAN.replace("bookworm", "sid") + "\n\n"),
    Case("disabled.sources", "Types: deb\nEnabled: no\nURIs: http://@deb@/debian\nSuites: bookworm\nComponents: main\n"),
    Case(
        "one-disabled.sources",
        "Enabled: False\nTypes: deb\nURIs: http://@deb@/debian\nSuites: sid\nComponents: main\n\nEnabled: yes\n" + DEBIAN,
    ),
    Case("disabled-and-short.sources", "Types: deb-src\nEnabled: 0\n"),
    Case("empty.sources", ""),
    Case("only-comments.sources", "# nothing\n\n#   here\n"),
    Case(
        "embedded-key.sources",
        DEBIAN + "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw\n"
        " -----END PGP PUBLIC KEY BLOCK-----\n",
    ),
    Case("unknown-fields.sources", "X-Repolib-Name: System Sources\nArchitectures: amd64 i386\nPDiffs: no\n" + DEBIAN),
    Case(
        "two-of-one-archive.sources",
        "Types: deb\nURIs: <http://@deb@/debian http://@debcn@/debian => @m@/debian>\nSuites: bookworm\nComponents: main\n",
    ),
    Case(
        "two-lines-of-one-archive.sources",
        "Types: deb\nURIs:\n <http://@deb@/debian => @m@/debian>\n< http://@debcn@/debian\n => >Suites: bookworm\nComponents: main\n",
    ),
    Case(
        "one-of-two.sources",
        "Types: deb deb-src\nURIs: file:/srv/debian/ <http://@deb@/debian => @m@/debian>\nSuites: bookworm\nComponents: main\n",
    ),
    # deb822 that is nobody's business
    Case("pinned-to-a-day.sources", "Types: deb\nURIs: http://snapshot.example/archive/debian/20250520T000000Z\n"
         "Suites: bookworm\nComponents: main\n" + DEBIAN_KEY),
    Case("old-release.sources", "Types: deb\nURIs: http://@debold@/debian\nSuites: stretch\nComponents: main\n"),
    Case("old-ubuntu.sources", "Types: deb\nURIs: http://@ubuold@/ubuntu\nSuites: lunar lunar-updates\nComponents: main\n" + UBUNTU_KEY),
    Case("node.sources", "Types: deb\nURIs: https://deb.node.example/node_20.x\nSuites: nodistro\nComponents: main\n"
         "Signed-By: /usr/share/keyrings/node.gpg\n"),
    Case("docker.sources", "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm\nComponents: stable\n"
         "Signed-By: /etc/apt/keyrings/docker.asc\n"),
    Case("ppa.sources", "Types: deb\nURIs: https://ppa.launchpadcontent.net/deadsnakes/ppa/ubuntu/\nSuites: noble\n"
         "Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n /mQINBGPL\n -----END PGP PUBLIC KEY BLOCK-----\n"),
    Case("matrix.sources", "Types: deb\nURIs: https://packages.matrix.org/debian/\nSuites: bookworm\nComponents: main\n"
         "Signed-By: /usr/share/keyrings/matrix-org-archive-keyring.gpg\n"),
    Case("wine.sources", "Types: deb\nURIs: https://dl.winehq.org/wine-builds/debian\nSuites: bookworm\nComponents: main\n"
         "Signed-By: /etc/apt/keyrings/winehq-archive.key\n"),
    Case("esm.sources", "Types: deb\nURIs: https://esm.ubuntu.com/apps/ubuntu\nSuites: noble-apps-security noble-apps-updates\n"
         "Components: main\nSigned-By: /usr/share/keyrings/ubuntu-pro-esm-apps.gpg\n"),
    Case("flat.sources", "Types: deb\nURIs: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64\nSuites: /\n"),
    # one line each, as they are shipped
    Case(
        "ubuntu-jammy.list",
        "# See http://help.ubuntu.example\ndeb <http://@ubucn@/ubuntu/ => @m@/ubuntu/> jammy main restricted\n"
        "# deb-src http://@ubucn@/ubuntu/ jammy main restricted\n\n"
        "deb <http://@ubucn@/ubuntu/ => @m@/ubuntu/> jammy-updates universe\n"
        "deb http://@ubusec@/ubuntu/ jammy-security main restricted\n",
    ),
    Case(
        "debian-old-security.list",
        "deb <http://@deb@/debian => @m@/debian> buster main contrib non-free\n"
        "deb <http://@debsec@/ => @m@/debian-security/> buster/updates main\n",
        WITH_SECURITY,
    ),
    Case(
        "debian-installer.list",
        "#deb cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - Official amd64 NETINST with firmware]/ bookworm main\n\n"
        "deb <http://@debcn@/debian/ => @m@/debian/> bookworm main non-free-firmware\n"
        "deb-src <http://@debcn@/debian/ => @m@/debian/> bookworm main non-free-firmware\n\n"
        "deb http://@debsec@/debian-security bookworm-security main non-free-firmware\n",
    ),
    Case("cdrom.list", "deb cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - Official amd64]/ bookworm main\n"
         "deb <http://@deb@/debian => @m@/debian> bookworm main\n"),
    Case("ports.list", "deb <http://@ubuports@/ubuntu-ports => @m@/ubuntu-ports> jammy main universe\n"),
    # already at a mirror
    Case("another-mirror.list", "deb <https://mirrors.tuna.tsinghua.edu.cn/debian/ => @m@/debian/> bookworm main\n"),
    Case("v6-mirror.list", "deb <https://mirrors6.tuna.tsinghua.edu.cn/ubuntu => @m@/ubuntu> jammy main\n"),
    Case("pub-linux.list", "deb <https://ftp.halifax.example/pub/linux/debian => @m@/debian> bookworm main\n"),
    Case(
        "known-by-its-updates.list",
        "deb <https://repo.huaweicloud.com/ubuntu => @m@/ubuntu> jammy main\n"
        "deb <https://repo.huaweicloud.com/ubuntu => @m@/ubuntu> jammy-updates main\n",
    ),
    Case("there-already.list", "deb @m@/debian bookworm main\n"),
    Case("mirror-keeps-security.list", "deb <https://mirrors.aliyun.com/ubuntu => @m@/ubuntu> jammy main\n"
         "deb https://mirrors.aliyun.com/ubuntu jammy-security main\n"),
    # layouts
    Case("no-final-newline.list", "deb <http://@deb@/debian => @m@/debian> bookworm main"),
    Case("crlf.list", "deb <http://@deb@/debian => @m@/debian> bookworm main\r\n\r\n# end\r\n"),
    Case(
        "options.list",
        "deb [ arch=amd64,i386 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] <http://@deb@/debian => @m@/debian>"
        " bookworm main # why\n",
    ),
    Case("hash-in-options.list", "deb [arch=amd64 signed-by=/x#y] <http://@deb@/debian => @m@/debian> bookworm main\n"),
    Case("keyring-vouches.list", "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
         "<http://10.0.0.7:3142/debian => @m@/debian> bookworm main\n"),
    Case("columns.list", "  deb \t<http://@deb@/debian => @m@/debian>   bookworm\t\tmain   contrib#no space\n\n\n"),
    Case("quoted.list", 'deb "<http://@deb@/debian => @m@/debian>" bookworm main\n'),
    Case("escaped.list", "deb <http://@deb@/%64ebian => @m@/debian> bookworm main\n"),
    # nobody's business
    Case("nothing.list", ""),
    Case("commented-out.list", "# deb http://@deb@/debian bookworm main\n   # deb-src http://@deb@/debian bookworm main\n"),
    Case(
        "strangers.list",
        "deb https://apt.kitware.com/ubuntu/ jammy main\ndeb http://archive.raspberrypi.com/debian/ bookworm main\n"
        "deb https://repo.jellyfin.org/debian bookworm main\ndeb https://download.virtualbox.org/virtualbox/debian bookworm contrib\n"
        "deb http://apt.postgresql.org/pub/repos/apt bookworm-pgdg main\ndeb https://nginx.org/packages/debian bookworm nginx\n"
        "deb https://packages.microsoft.com/debian/12/prod bookworm main\ndeb https://repo.radeon.com/rocm/apt/6.2 jammy main\n"
        "deb https://mirrors.aliyun.com/docker-ce/linux/ubuntu jammy stable\ndeb file:/srv/debian bookworm main\n"
        "deb https://packages.gitlab.com/gitlab/gitlab-ce/ubuntu jammy main\ndeb http://packages.ros.org/ros2/ubuntu jammy main\n"
        "deb tor+http://mirrors.example/debian bookworm main\ndeb https://mirrors.example/debian ./\n"
        "deb [signed-by=/etc/apt/keyrings/own.gpg] https://mirror.example/debian bookworm main\n"
        "deb https://mirrors.ustc.edu.cn/debian-archive/debian stretch main\ndeb https://mirrors.ustc.edu.cn/kali kali-rolling main\n",
    ),
    Case(
        "among-strangers.list",
        "deb https://apt.kitware.com/ubuntu/ jammy main\ndeb <http://@ubu@/ubuntu => @m@/ubuntu> jammy main\n"
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/ubuntu jammy stable\n",
    ),
]  # fmt: skip
