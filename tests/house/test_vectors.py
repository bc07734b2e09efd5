"""The published vectors: made again byte for byte, and read by a second, tiny implementation.

The second one, below, follows `docs/protocol.md` and shares no code with the package.
"""

import hashlib
import hmac
import json
import runpy
import struct
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipnet.errors import CertificateError
from gossipnet.identity.trust import Trust
from gossipnet.state.replica import Replica

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "keys" / "vectors"


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def unhex(text):
    return bytes.fromhex(text)


def test_the_files_are_what_their_seeds_give():
    maker = runpy.run_path(str(ROOT / "keys" / "make_vectors.py"))
    for name, vectors in maker["everything"]().items():
        published = json.loads((FOLDER / name).read_text())
        assert json.loads(json.dumps(vectors)) == published, (
            f"keys/vectors/{name} is not what this program makes: if that is meant, the wire or a "
            "file has changed; run `python keys/make_vectors.py` and say so in CHANGELOG.md"
        )


# ---------------------------------------------------------------- through the package


def test_chains_hold_or_are_refused_for_the_stated_reason():
    vectors = read("certificates")
    trust = Trust.decode(unhex(vectors["trust"]), unhex(vectors["mesh_id"]))
    for node in vectors["nodes"]:
        certificate = trust.verify_chain([unhex(one) for one in node["chain"]], None)
        assert certificate.subject.hex() == node["public_key"]
        assert certificate.fingerprint.hex() == node["fingerprint"]
        assert sorted(certificate.roles) == node["roles"]
    for refused in vectors["refused"]:
        with pytest.raises(CertificateError) as caught:
            trust.verify_chain([unhex(one) for one in refused["chain"]], refused["wall"])
        assert caught.value.reason == refused["reason"]


def test_a_replica_that_takes_the_records_in_holds_what_they_add_up_to():
    vectors, certificates = read("records"), read("certificates")
    trust = Trust.decode(unhex(certificates["trust"]))
    maker = runpy.run_path(str(ROOT / "keys" / "make_vectors.py"))
    ada = maker["identities"]()["ada"]
    replica = Replica(key=ada.key, chain=ada.chain, trust=trust, epoch=9, wall=vectors["wall"])
    for row in vectors["records"]:
        replica.ingest(unhex(row["record"]), vectors["wall"])
    keyspace = replica.keyspace
    for key, value in vectors["strings"].items():
        assert keyspace.get(unhex(key)) == unhex(value)
    for key, fields in vectors["hashes"].items():
        assert {f.hex(): v.hex() for f, v in keyspace.hash_items(unhex(key))} == fields
    for key, members in vectors["sets"].items():
        assert sorted(one.hex() for one in keyspace.members(unhex(key))) == members
    for key in vectors["missing"]:
        assert not keyspace.exists(unhex(key))


# ---------------------------------------------------------------- without it


def signed(public_key, domain, mesh_id, body, signature):
    message = b"gossipnet/v1/" + domain + b"\0" + mesh_id + body
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)


def opened(envelope):
    """(signatures by signer, body) of `count | signer, signature ... | body`."""
    count = envelope[0]
    signatures = {envelope[1 + 65 * n]: envelope[2 + 65 * n : 66 + 65 * n] for n in range(count)}
    return signatures, envelope[1 + 65 * count :]


def test_certificates_by_hand():
    vectors = read("certificates")
    mesh_id = unhex(vectors["mesh_id"])
    (root,) = msgspec.msgpack.decode(unhex(vectors["trust"]))
    signatures, body = opened(root)
    assert hashlib.blake2b(body, digest_size=32).digest() == mesh_id
    authority = msgspec.msgpack.decode(body)[5][0]
    signed(authority, b"root", mesh_id, body, signatures[0])
    for node in vectors["nodes"]:
        above = authority
        for one in reversed(node["chain"]):
            signatures, body = opened(unhex(one))
            signed(above, b"certificate", mesh_id, body, signatures[0])
            above = msgspec.msgpack.decode(body)[3]
        assert above == unhex(node["public_key"])
        assert hashlib.blake2b(above, digest_size=32).hexdigest() == node["node_id"]


def test_records_by_hand():
    vectors, nodes = read("records"), read("certificates")["nodes"]
    keys = [unhex(node["public_key"]) for node in nodes]
    writers = {hashlib.blake2b(k + bytes([0, 0, 0, 1]), digest_size=16).digest(): k for k in keys}
    mesh_id = unhex(vectors["mesh_id"])
    for row in vectors["records"]:
        data = unhex(row["record"])
        version, flags, log, seq, prev, stamp, size, digest = struct.unpack_from(
            ">BB16sQ32sQI32s", data
        )
        header, signature, body = data[:102], data[102:166], data[166:]
        assert (version, flags, size) == (1, 0, len(body))
        assert hashlib.blake2b(body, digest_size=32).digest() == digest
        assert hashlib.blake2b(header, digest_size=32).hexdigest() == row["hash"]
        assert (log.hex(), seq, prev.hex(), stamp) == (
            row["log"],
            row["seq"],
            row["prev"],
            row["stamp"],
        )
        signed(writers[log], b"record", mesh_id, header, signature)


class Noise:
    """The dialling side of XX and XXhfs, with its keys known."""

    def __init__(self, protocol, prologue):
        name = protocol.encode()
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else hashlib.blake2s(name).digest()
        self.ck, self.k, self.n = self.h, None, 0
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = hashlib.blake2s(self.h + data).digest()

    def hkdf(self, material):
        temporary = hmac.digest(self.ck, material, "blake2s")
        first = hmac.digest(temporary, b"\1", "blake2s")
        return first, hmac.digest(temporary, first + b"\2", "blake2s")

    def mix_key(self, material):
        self.ck, self.k = self.hkdf(material)
        self.n = 0

    def decrypt(self, sealed):
        plain = ChaCha20Poly1305(self.k).decrypt(nonce(self.n), sealed, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return plain

    def encrypt(self, plain):
        sealed = ChaCha20Poly1305(self.k).encrypt(nonce(self.n), plain, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def nonce(count):
    return bytes(4) + count.to_bytes(8, "little")


def shared(private, public):
    return private.exchange(X25519PublicKey.from_public_bytes(public))


@pytest.mark.parametrize("number", range(4))
def test_links_by_hand(number):
    vectors = read("handshakes")
    link = vectors["links"][number]
    mesh_id = unhex(read("certificates")["mesh_id"])
    flights = [unhex(flight["bytes"]) for flight in link["flights"]]
    static, ephemeral, *kem_seed = (unhex(one) for one in link["entropy"]["dialler"])
    s, e = (X25519PrivateKey.from_private_bytes(one) for one in (static, ephemeral))
    offered = MLKEM768PrivateKey.from_seed_bytes(kem_seed[0]) if kem_seed else None

    # preamble
    head = b"GSP1" + bytes((2 if offered else 0, 0, 0, 0))
    first = e.public_key().public_bytes_raw()
    kem_key = offered.public_key().public_bytes_raw() if offered else b""
    secret = unhex(link["mesh_secret"])
    hidden = hashlib.blake2s(b"gossipnet mesh secret" + secret).digest() if secret else b""
    mac_key = hashlib.blake2s(b"gossipnet mac1" + mesh_id, key=hidden).digest()
    mac = hashlib.blake2s(head + first + kem_key, key=mac_key, digest_size=16).digest()
    size = len(first + kem_key).to_bytes(2, "big")
    assert flights[0] == head + mac + size + first + kem_key

    # message 2
    message = flights[1][2 : 2 + int.from_bytes(flights[1][:2], "big")]
    hybrid = False
    if offered:
        hybrid, message = message[0] == 1, message[1:]
    assert hybrid == (link["name"] == "hybrid")
    sort = "XXhfs_25519+MLKEM768" if hybrid else "XX_25519"
    prologue = b"gossipnet/1\0" + mesh_id + head + (kem_key if offered and not hybrid else b"")
    noise = Noise(f"Noise_{sort}_ChaChaPoly_BLAKE2s", prologue)
    noise.mix_hash(first)
    if hybrid:
        noise.mix_hash(kem_key)
    noise.mix_hash(b"")
    theirs, rest = message[:32], message[32:]
    noise.mix_hash(theirs)
    noise.mix_key(shared(e, theirs))
    if hybrid:
        ciphertext = noise.decrypt(rest[:1104])
        rest = rest[1104:]
        assert {"public": kem_key.hex(), "ciphertext": ciphertext.hex()}.items() <= vectors["kem"][
            0
        ].items()
        noise.mix_key(offered.decapsulate(ciphertext))
    their_static = noise.decrypt(rest[:48])
    noise.mix_key(shared(e, their_static))
    credentials = msgspec.msgpack.decode(noise.decrypt(rest[48:]))
    chain, not_after, binding, _version, features, _padding = credentials
    signed(
        msgspec.msgpack.decode(opened(chain[0])[1])[3],
        b"binding",
        mesh_id,
        their_static + not_after.to_bytes(8, "big"),
        binding,
    )
    assert features == (["hybrid"] if link["pq"][1] == "prefer" else [])

    # message 3
    sent = noise.encrypt(s.public_key().public_bytes_raw())
    noise.mix_key(shared(s, theirs))
    size = int.from_bytes(flights[2][:2], "big")
    message = flights[2][2 : 2 + size]
    assert message[:48] == sent
    noise.decrypt(message[48:])
    assert noise.h.hex() == link["handshake_hash"]

    # records: READY, then a message each way, then CLOSE
    sending, receiving = (ChaCha20Poly1305(key) for key in noise.hkdf(b""))
    assert receiving.decrypt(nonce(0), flights[3][2:], None) == b"\x40"
    assert sending.decrypt(nonce(0), flights[4][2:], None) == b"\x11\0\4ping"
    assert receiving.decrypt(nonce(1), flights[5][2:], None) == b"\x10\0\4pong\x50"


class JoinNoise(Noise):
    """With a pre-shared key, whose patterns mix every ephemeral key into the cipher's."""

    def mix_key_and_hash(self, material):
        temporary = hmac.digest(self.ck, material, "blake2s")
        first = hmac.digest(temporary, b"\1", "blake2s")
        second = hmac.digest(temporary, first + b"\2", "blake2s")
        third = hmac.digest(temporary, second + b"\3", "blake2s")
        self.ck, self.k, self.n = first, third, 0
        self.mix_hash(second)

    def ephemeral(self, public):
        self.mix_hash(public)
        self.mix_key(public)


@pytest.mark.parametrize("name", ["join", "join_hybrid"])
def test_joins_by_hand(name):
    vectors = read("handshakes")
    join = vectors[name]
    hybrid = name == "join_hybrid"
    mesh_id = unhex(read("certificates")["mesh_id"])
    there, back, more, last = (unhex(flight["bytes"]) for flight in join["flights"])
    static, ephemeral, *kem_seed = (unhex(one) for one in join["entropy"]["newcomer"])
    s, e = (X25519PrivateKey.from_private_bytes(one) for one in (static, ephemeral))
    head = b"GSP1" + bytes((3 if hybrid else 1, 0, 0, 0))
    clear = there[24:56]
    sort = "XXhfs+psk3_25519+MLKEM768" if hybrid else "XXpsk3_25519"
    noise = JoinNoise(f"Noise_{sort}_ChaChaPoly_BLAKE2s", b"gossipnet/1\0" + mesh_id + head + clear)

    first = e.public_key().public_bytes_raw()
    noise.ephemeral(first)
    if hybrid:
        key = MLKEM768PrivateKey.from_seed_bytes(kem_seed[0])
        first += noise.encrypt(key.public_key().public_bytes_raw())
    first += noise.encrypt(b"")
    mac_key = hashlib.blake2s(b"gossipnet mac1" + mesh_id).digest()
    mac = hashlib.blake2s(head + clear + first, key=mac_key, digest_size=16).digest()
    assert there == head + mac + clear + len(first).to_bytes(2, "big") + first

    theirs, rest = back[2:34], back[34:]
    noise.ephemeral(theirs)
    noise.mix_key(shared(e, theirs))
    if hybrid:
        noise.mix_key(key.decapsulate(noise.decrypt(rest[:1104])))
        rest = rest[1104:]
    their_static = noise.decrypt(rest[:48])
    noise.mix_key(shared(e, their_static))
    _root, credentials, refusal = msgspec.msgpack.decode(noise.decrypt(rest[48:]))
    assert refusal == ""
    features = msgspec.msgpack.decode(credentials)[4]
    assert features == (["hybrid"] if hybrid else [])

    third = noise.encrypt(s.public_key().public_bytes_raw())
    noise.mix_key(shared(s, theirs))
    noise.mix_key_and_hash(unhex(join["psk"]))
    third += noise.encrypt(b"")
    assert more[: 2 + len(third)] == len(third).to_bytes(2, "big") + third
    sending, receiving = noise.hkdf(b"")
    request = ChaCha20Poly1305(sending).decrypt(nonce(0), more[4 + len(third) :], None)
    public, _issuer, wanted, exact, signature, _second = msgspec.msgpack.decode(request)
    assert (wanted, exact) == ("eve", True)
    body = noise.h + public + b"\0" + b"\1" + wanted.encode()
    signed(public, b"join", mesh_id, body, signature)
    grant = msgspec.msgpack.decode(ChaCha20Poly1305(receiving).decrypt(nonce(0), last[2:], None))
    assert grant[0] == 1
    assert [one.hex() for one in grant[1]] == join["chain"]
