"""A real mosquitto with the shipped configuration and ACL; only paths and port are its own."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oneglance.broker import free_port
from oneglance.config import MqttConfig

SHIPPED = Path(__file__).resolve().parents[1] / "systemd" / "mosquitto"
ROLES = {
    "daemon": "oneglance-daemon",
    "lock": "oneglance-lock",
    "kiosk": "oneglance-kiosk",
    "admin": "oneglance-admin",
    "reader": "homeassistant",
    "badge": "oneglance-reader",
    "assistant": "oneglance-assistant",
}


def find_binary(name: str) -> str | None:
    """The program, also where only root's PATH looks (Debian's mosquitto is in /usr/sbin)."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Broker:
    """A mosquitto by the settings in `folder`/mosquitto.conf, for `port`. Not started yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again) and wait until it listens."""
        binary = find_binary("mosquitto")
        assert binary is not None
        with (self.folder / "broker.log").open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [binary, "-v", "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        # Its own word: a connection that only tries the port would be in the log as a TLS error.
        while self._process.poll() is None and time.monotonic() < deadline:
            if re.search(rb"mosquitto version .* running", self._written()[before:]):
                return
            time.sleep(0.02)
        raise AssertionError("mosquitto did not start:\n" + self.log())

    def reload(self) -> None:
        """Have it read passwords and ACL anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it politely; safe to call when it does not run."""
        self._end("terminate")

    def kill(self) -> None:
        """Kill it without a chance to say goodbye."""
        self._end("kill")

    def log(self) -> str:
        """What the broker wrote so far."""
        return self._written().decode(errors="replace")

    def _written(self) -> bytes:
        return (self.folder / "broker.log").read_bytes()

    def _end(self, how: str) -> None:
        deadline = time.monotonic() + 60
        while self._process is not None:
            # Again and again: it listens before its loop begins, and forgets a SIGTERM in between.
            getattr(self._process, how)()
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, self.log()
            else:
                self._process = None


class Mosquitto(Broker):
    """The broker in `folder`, with a throw-away CA and one user a role. Not started yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(exist_ok=True)
        make_certificates(folder)
        for role, user in ROLES.items():
            password = folder / f"{role}.password"
            password.write_text(f"password-of-{role}\n")
            password.chmod(0o600)
            self._add_user(user, f"password-of-{role}")
        shutil.copy(SHIPPED / "acl", folder / "acl")
        (folder / "acl").chmod(0o600)
        shipped = (SHIPPED / "oneglance.conf").read_text()
        conf = shipped.replace("/etc/mosquitto/oneglance/", f"{folder}/").replace(
            "listener 8883", f"listener {self.port} 127.0.0.1"
        )
        (folder / "conf.d").mkdir()
        (folder / "conf.d" / "oneglance.conf").write_text(conf)
        # As Debian's main file: the shipped part is included. Root would else become `mosquitto`,
        # who cannot read a test's private folder.
        user_line = "user root\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(f"{user_line}include_dir {folder}/conf.d\n")

    def mqtt(self, role: str) -> MqttConfig:
        """How `role` (a key of ROLES) reaches this broker."""
        return MqttConfig(
            host="127.0.0.1",
            port=self.port,
            tls=True,
            ca_file=self.folder / "ca.crt",
            user=ROLES[role],
            password_file=self.folder / f"{role}.password",
            keepalive_s=5,
        )

    def listen_also(self, settings: str) -> int:
        """Let it have one more listener, with TLS and `settings`, from its next start on."""
        port = free_port()
        folder = self.folder
        (folder / "conf.d" / "one-more.conf").write_text(
            f"listener {port} 127.0.0.1\n"
            f"certfile {folder}/server.crt\nkeyfile {folder}/server.key\n{settings}"
        )
        return port

    def _add_user(self, user: str, password: str) -> None:
        file = self.folder / "passwords"
        if not file.exists():
            file.touch(mode=0o600)
        tool = find_binary("mosquitto_passwd")
        assert tool is not None
        subprocess.run([tool, "-b", str(file), user, password], check=True, capture_output=True)


def make_certificates(
    folder: Path,
    prefix: str = "",
    name: str = "127.0.0.1",
    client: str = ROLES["lock"],
    days: int = 100,
) -> None:
    """A CA (`ca.crt`), a server's and a client's certificate signed by it, valid for `days`.

    `name` is the broker's address, or a host name; `client` the user that client.crt stands for.
    """
    ca_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oneglance test CA")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)

    def builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
        )

    identity = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identity, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    is_address = name.replace(".", "").isdecimal()
    names = [x509.IPAddress(ipaddress.ip_address(name)) if is_address else x509.DNSName(name)]
    server = (
        builder(server_name, server_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    client_key = ec.generate_private_key(ec.SECP256R1())
    guest = (
        builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client)]), client_key.public_key()
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    for part, certificate in {"ca": ca, "server": server, "client": guest}.items():
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{prefix}{part}.crt").write_bytes(pem)
    for part, key in {"server": server_key, "client": client_key}.items():
        key_file = folder / f"{prefix}{part}.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
