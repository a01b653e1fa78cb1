"""Certificates are checked before they are used, and taken anew from disk when they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.gateway.certificates import CertificateError, Certificates, Files, files_of
from tests.unit.certs import Authority

AUTHORITY = Authority()
PAIR = AUTHORITY.issue()


def files_in(folder: Path) -> Files:
    cert, key = PAIR.write(folder, "server")
    authority = folder / "ca.pem"
    authority.write_bytes(AUTHORITY.pem)
    return Files(str(cert), str(key), str(authority))


@pytest.mark.parametrize(
    ("cert", "key", "client_ca", "named"),
    [
        ("c", "", "", "NEXUS_TLS_KEY_FILE: is required"),
        ("", "k", "", "NEXUS_TLS_CERT_FILE: is required"),
        ("", "k", "a", "NEXUS_TLS_CERT_FILE: is required"),
        ("", "", "a", "NEXUS_TLS_CLIENT_CA_FILE: needs NEXUS_TLS_CERT_FILE"),
    ],
)
def test_half_a_pair_is_refused(cert: str, key: str, client_ca: str, named: str) -> None:
    """Settings that make no TLS are refused by the name of what is missing; none at all is no TLS."""
    with pytest.raises(CertificateError, match=named):
        files_of(cert, key, client_ca)
    assert files_of("", "", "") is None


def _encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("server.pem", b"", "NEXUS_TLS_CERT_FILE: expected a certificate in PEM"),
        ("server.pem", PAIR.key, "NEXUS_TLS_CERT_FILE: expected a certificate in PEM"),
        ("server.pem", None, "NEXUS_TLS_CERT_FILE: expected the path of a PEM file: No such file"),
        ("server.key", b"\x00\xff", "NEXUS_TLS_KEY_FILE: expected a private key"),
        ("server.key", PAIR.cert, "NEXUS_TLS_KEY_FILE: expected a private key"),
        ("server.key", _encrypted(PAIR.key), "NEXUS_TLS_KEY_FILE: expected a private key in PEM without a password"),
        ("server.key", AUTHORITY.issue().key, "NEXUS_TLS_KEY_FILE: is not the key of"),
        ("server.key", None, "NEXUS_TLS_KEY_FILE: expected the path"),
        ("ca.pem", b"none", "NEXUS_TLS_CLIENT_CA_FILE: expected certificates"),
        ("ca.pem", None, "NEXUS_TLS_CLIENT_CA_FILE: expected the path"),
    ],
)
def test_files_that_are_no_pair_are_refused(tmp_path: Path, name: str, content: bytes | None, named: str) -> None:
    """What cannot be used is refused in one sentence that names the setting and not the content."""
    files = files_in(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CertificateError, match=named) as refused:
        Certificates(files)
    assert "BEGIN" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_key_that_tls_cannot_use_is_refused(tmp_path: Path) -> None:
    """A pair of a kind other than the certificate's is refused too."""
    files = files_in(tmp_path)
    strange = ed25519.Ed25519PrivateKey.generate()
    Path(files.key).write_bytes(strange.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(CertificateError, match="is not the key of"):
        Certificates(files)


def test_a_renewed_pair_is_taken_once_it_is_whole(tmp_path: Path) -> None:
    """Half a renewal, or a bad one, changes nothing; a whole one is in use at the next look."""
    certificates = Certificates(files_in(tmp_path))
    assert not certificates.look()
    renewed = AUTHORITY.issue()
    (tmp_path / "server.pem").write_bytes(renewed.cert)
    assert not certificates.look()
    (tmp_path / "server.key").write_bytes(b"half")
    assert not certificates.look()
    assert certificates._material.cert == PAIR.cert
    (tmp_path / "server.key").write_bytes(renewed.key)
    assert certificates.look()
    assert certificates._material.cert == renewed.cert
    (tmp_path / "server.key").unlink()
    assert not certificates.look()
    assert certificates._material.cert == renewed.cert
