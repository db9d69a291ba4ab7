"""Which certificates are trusted: the system's, the company's, and lending them to other programs."""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.files import write_atomically
from internlm_setup.core.text import Text

TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


@dataclass(eq=False)
class BadTrustFile(ConfigError):
    """A variable names a CA file that cannot be used."""

    code = "core.bad-ca-file"
    text = Text(
        en="{variable} names `{path}`, which is not a readable file of certificates",
        zh="{variable} 指向的 `{path}` 不是可读的证书文件",
    )
    hint = Text(en="correct it, or: `unset {variable}`", zh="请更正它，或执行：`unset {variable}`")
    variable: str
    path: str


@lru_cache(maxsize=4)
def trust(ca_files: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    """Build one context: the system's store, plus the company's files, plus certifi where the system has none."""
    context = ssl.create_default_context()
    for variable, path in ca_files:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise BadTrustFile(variable, path) from error
    folder = ssl.get_default_verify_paths().capath
    has_folder = bool(folder) and Path(folder).is_dir() and any(Path(folder).iterdir())
    if not has_folder and not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    return context


def lent(context: ssl.SSLContext, folder: Path) -> dict[str, str]:
    """Return variables that make another program trust what a context trusts; they name a file written into `folder`.

    Libraries differ in which variable they read, and a file of the company's certificates alone would replace the
    public ones.
    """
    import certifi

    found = {ssl.DER_cert_to_PEM_cert(one).strip() for one in context.get_ca_certs(binary_form=True)}
    system = ssl.get_default_verify_paths().capath  # a folder is read certificate by certificate, when needed
    for file in (Path(certifi.where()), *(Path(system).glob("*") if system else ())):
        with suppress(OSError):
            found.update(_PEM.findall(file.read_text(encoding="ascii", errors="ignore")))
    bundle = folder / "trust.pem"
    write_atomically(bundle, ("\n".join(sorted(found)) + "\n").encode())
    return dict.fromkeys(TRUST_VARIABLES, str(bundle))
