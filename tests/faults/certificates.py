"""Certificates for a broker and its clients, signed by an authority of the test's own."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """Writes NAME.pem and NAME.key into its directory; its own certificate is ca_file."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = directory / f"{name}.pem"
        certificate = self._sign(self._name, self._key.public_key(), authority=True, days=3)
        self.ca_file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self, name: str, *, host: str | None = None, address: str | None = None, days: int = 3, starts: int = -2
    ) -> Path:
        """Issue a certificate for a name, valid from so many days from now to so many from yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = []
        if host is not None:
            alternatives.append(x509.DNSName(host))
        if address is not None:
            alternatives.append(x509.IPAddress(ip_address(address)))
        certificate = self._sign(_name(name), key.public_key(), alternatives=alternatives, days=days, starts=starts)
        path = self._directory / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.with_suffix(".key").write_bytes(private)
        return path

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        days: int,
        starts: int = -2,
        authority: bool = False,
        alternatives: list[x509.GeneralName] | None = None,
    ) -> x509.Certificate:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(yesterday + timedelta(days=1 + starts))
            .not_valid_after(yesterday + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if authority:
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        return builder.sign(self._key, hashes.SHA256())
