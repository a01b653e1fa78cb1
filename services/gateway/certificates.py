"""The certificate of both doors, and whose clients they let in: read from disk, and read again when renewed.

What is on disk takes effect for new connections; those that are open go on. Where it cannot be used,
the last good one stays in use and the log says why.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

CERT_FILE: Final = "NEXUS_TLS_CERT_FILE"
KEY_FILE: Final = "NEXUS_TLS_KEY_FILE"
CLIENT_CA_FILE: Final = "NEXUS_TLS_CLIENT_CA_FILE"
LOOK_SECONDS: Final = 2.0
"""Between two looks at the files. Kubernetes itself takes up to a minute to renew them in a pod."""

ALPN: Final = ("h2", "http/1.1")
TRIES: Final = 5
"""How often files that change while they are read are read again at the start."""

log = structlog.get_logger(__name__)


class CertificateError(Exception):
    """The files cannot be used; names the variable."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the PEM files are; `client_ca` is empty where clients need no certificate."""

    cert: str
    key: str
    client_ca: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What is in the files."""

    cert: bytes
    key: bytes
    client_ca: bytes


def files_of(cert: str, key: str, client_ca: str) -> Files | None:
    """Give the files that the settings name, None where there is no TLS. Raises CertificateError for a half of it."""
    if bool(cert) != bool(key):
        missing = KEY_FILE if cert else CERT_FILE
        raise CertificateError(f"{missing}: is required, because a certificate and its key go together")
    if client_ca and not cert:
        raise CertificateError(f"{CLIENT_CA_FILE}: needs {CERT_FILE} and {KEY_FILE}")
    return Files(cert, key, client_ca) if cert else None


def check(material: Material) -> None:
    """Refuse what is no certificate with its key. Raises CertificateError."""
    try:
        certificates = x509.load_pem_x509_certificates(material.cert)
    except ValueError:
        raise CertificateError(f"{CERT_FILE}: expected a certificate in PEM, followed by its chain") from None
    try:
        key = load_pem_private_key(material.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{KEY_FILE}: expected a private key in PEM without a password") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if certificates[0].public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise CertificateError(f"{KEY_FILE}: is not the key of the first certificate in {CERT_FILE}")
    if material.client_ca:
        try:
            x509.load_pem_x509_certificates(material.client_ca)
        except ValueError:
            raise CertificateError(f"{CLIENT_CA_FILE}: expected certificates in PEM") from None


class Certificates:
    """The certificate in use. Made, it has read and checked the files. Raises CertificateError."""

    def __init__(self, files: Files) -> None:
        self._files = files
        for _ in range(TRIES):
            self._material = _read(files)
            check(self._material)
            context = _context(files, self._material)
            if context is not None:
                break
        else:
            raise CertificateError(f"{CERT_FILE}: changes while it is read")
        self._context = context
        self._refused: Material | None = None
        self._configuration = self._grpc_configuration()

    def tls_context(self) -> ssl.SSLContext:
        """Give the context for the HTTP door, which always hands new connections the certificate in use."""
        front = _context(self._files, self._material) or self._context

        def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._context

        # Called for every connection, also for one that names no server.
        front.sni_callback = choose
        return front

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Give the credentials for the gRPC door."""
        given = self._configuration

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            # Called by a thread of gRPC for every connection; None means: as before.
            nonlocal given
            if given is self._configuration:
                return None
            given = self._configuration
            return given

        return grpc.dynamic_ssl_server_credentials(
            given,
            fetch,  # type: ignore[arg-type]  # the stubs forget None, which grpc documents
            require_client_authentication=bool(self._files.client_ca),
        )

    async def follow(self) -> None:
        """Take what is renewed on disk, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> bool:
        """Read the files; tell whether something new is in use now."""
        try:
            material = _read(self._files)
            if material in (self._material, self._refused):
                return False
            check(material)
            context = _context(self._files, material)
        except CertificateError as error:
            self._refuse(error)
            return False
        if context is None:
            # Half renewed: the next look finds the rest.
            return False
        self._material, self._context, self._refused = material, context, None
        self._configuration = self._grpc_configuration()
        log.info("certificate renewed", not_after=_not_after(material))
        return True

    def _refuse(self, error: CertificateError) -> None:
        """Say it once, however long the files stay as they are."""
        try:
            refused = _read(self._files)
        except CertificateError:
            refused = Material(b"", b"", b"")
        if refused != self._refused:
            log.warning("the renewed certificate cannot be used; the old one stays in use", problem=str(error))
        self._refused = refused

    def _grpc_configuration(self) -> grpc.ServerCertificateConfiguration:
        material = self._material
        return grpc.ssl_server_certificate_configuration(
            [(material.key, material.cert)], root_certificates=material.client_ca or None
        )


def _read(files: Files) -> Material:
    content = []
    for variable, path in ((CERT_FILE, files.cert), (KEY_FILE, files.key), (CLIENT_CA_FILE, files.client_ca)):
        try:
            content.append(Path(path).read_bytes() if path else b"")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise CertificateError(f"{variable}: expected the path of a PEM file: {reason}") from None
    return Material(*content)


def _context(files: Files, material: Material) -> ssl.SSLContext | None:
    """Make a context of the files; None where they hold something else than `material` by now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation and compression are attacked, not used. Source: RFC 9113, section 9.2.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # A resumed session would go on with a client certificate that is no longer accepted.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(list(ALPN))
    try:
        # From its file, because ssl reads from nowhere else.
        context.load_cert_chain(files.cert, files.key, password=lambda: b"")
        if files.client_ca:
            context.load_verify_locations(cadata=material.client_ca.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, ssl.SSLError) and _read(files) == material:
            raise CertificateError(f"{CERT_FILE}: TLS cannot use it: {error.reason or 'unknown reason'}") from None
        return None
    return context if _read(files) == material else None


def _not_after(material: Material) -> str:
    return x509.load_pem_x509_certificates(material.cert)[0].not_valid_after_utc.isoformat()
