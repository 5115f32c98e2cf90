# SPDX-License-Identifier: Apache-2.0
"""
A Kafka with passwords, TLS and rights, for tests:

    with kafka_secure.SecureCluster(users={"probe": "secret"}, rights=True) as k:
        k.create_topic("flows")
        k.allow("probe", "write", name="flows")
        k.at("SASL_SSL")    bootstrap servers; also "SASL_PLAINTEXT", "SSL" (client certificate), "PLAINTEXT" (may do all)
        k.client("SASL_SSL", "probe", "secret")     librdkafka's properties for it
        k.disallow("probe", "write", name="flows")

Users come by SCRAM-SHA-256, or by PLAIN with the password they began with. With rights=True a user may do what allow() gave and
nothing else; otherwise everybody may do all. Who comes to SSL by the client certificate is "CN=client". set_password() makes and
changes users of SCRAM while the broker runs.
"""
import os

import kafka
import l7


def openssl(*arguments):
    done = l7.run(("openssl",) + arguments)
    if done.status != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.err}")


class Certificates:
    """In a folder: ca.pem, server.pem and client.pem signed by it, their keys NAME.key; other.pem, who signed none of them."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        for name in ("ca", "other"):
            openssl("req", "-x509", *self.new(name), "-days", "30", "-subj", f"/CN={name}")
        self.sign("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.sign("client", "extendedKeyUsage=clientAuth")

    def path(self, name):
        return os.path.join(self.folder, name)

    def new(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path(name + ".key"),
                "-out", self.path(name + ".pem"))

    def sign(self, name, extension):
        request = self.path(name + ".csr")
        with open(self.path(name + ".ext"), "w", encoding="ascii") as f:
            f.write(extension + "\n")
        openssl("req", *self.new(name)[:-1], request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                "-days", "30", "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))

    def both(self, name):
        """One file with key and certificate, as Kafka wants them."""
        path = self.path(name + ".both")
        with open(path, "w", encoding="ascii") as out:
            for end in (".key", ".pem"):
                with open(self.path(name + end), encoding="ascii") as f:
                    out.write(f.read())
        return path


class SecureCluster(kafka.Cluster):
    """A kafka.Cluster with all listeners. users: {name: password}; rights: whether users need them."""

    def __init__(self, nodes=1, users=None, rights=False, **options):
        super().__init__(nodes, **options)
        self.users, self.rights = users or {}, rights
        self.certificates = Certificates(self.folder + "/certificates")

    def listeners(self):
        return kafka.LISTENERS

    def settings(self, node):
        found = super().settings(node)
        modules = "org.apache.kafka.common.security"
        plain = "".join(f' user_{name}="{password}"' for name, password in self.users.items())
        found.update({
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.both("server"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.path("ca.pem"),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,PLAIN",
        })
        for name in ("sasl_ssl", "sasl_plaintext"):
            config = f"listener.name.{name}.%s.sasl.jaas.config"
            found[config % "scram-sha-256"] = f"{modules}.scram.ScramLoginModule required;"
            found[config % "plain"] = f"{modules}.plain.PlainLoginModule required{plain};"
        if self.rights:
            found["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            found["super.users"] = "User:ANONYMOUS"  # who comes to PLAINTEXT: the nodes and this test
        found.update(self.more)
        return found

    def wait(self):
        super().wait()
        for name, password in self.users.items():
            self.set_password(name, password)

    def client(self, listener, user=None, password=None, mechanism="SCRAM-SHA-256"):
        """librdkafka's properties to come to a listener."""
        found = {"bootstrap.servers": self.at(listener), "security.protocol": listener}
        if "SSL" in listener.split("_"):
            found["ssl.ca.location"] = self.certificates.path("ca.pem")
        if listener == "SSL":
            found["ssl.certificate.location"] = self.certificates.path("client.pem")
            found["ssl.key.location"] = self.certificates.path("client.key")
        if user is not None:
            found.update({"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password})
        return found

    def kcat_with(self, properties, *arguments, **options):
        """kcat with properties of client(), which no argument shows."""
        path = self.folder + "/kcat.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{name}={value}\n" for name, value in properties.items())
        done = l7.run(("kcat", "-F", path) + arguments, **options)
        done.err = "".join(line for line in done.err.splitlines(True) if not line.startswith("% Reading configuration"))
        return done
