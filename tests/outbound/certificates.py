"""A certificate authority that lives as long as the tests, and certificates of every kind that a host may show."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """Signs certificates; whoever reads `file` as $SSL_CERT_FILE believes them."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder = folder
        self._pair = _signed(name, None, authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._pair.certificate.public_bytes(serialization.Encoding.PEM))

    def context(
        self,
        *names: str,
        starts: timedelta = -DAY,
        ends: timedelta = DAY,
        self_signed: bool = False,
        common_name: str = "host",
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> ssl.SSLContext:
        """TLS of a server with a certificate for these names and addresses, valid between two times from now."""
        pair = _signed(
            common_name, None if self_signed else self._pair, names=names, starts=starts, ends=ends, usage=usage
        )
        file = self._folder / f"{pair.certificate.serial_number:x}.pem"
        file.write_bytes(
            pair.certificate.public_bytes(serialization.Encoding.PEM)
            + pair.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _signed(
    common_name: str,
    issuer: Pair | None,
    *,
    names: tuple[str, ...] = (),
    starts: timedelta = -DAY,
    ends: timedelta = DAY,
    authority: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    issuer_key = key if issuer is None else issuer.key
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if authority:
        certificate = certificate.add_extension(_SIGNS_CERTIFICATES, critical=True)
    else:
        certificate = certificate.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
    return Pair(certificate.sign(issuer_key, hashes.SHA256()), key)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
