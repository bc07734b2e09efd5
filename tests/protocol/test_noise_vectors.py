"""Every applicable official vector, through the code that production runs."""

import pytest

from gossipnet.errors import LocalProtocolError
from gossipnet.protocol.noise import JOIN, LINK, KeyPair, NoiseHandshake

FILES = {"noise-cacophony.json": 30, "noise-snow.json": 22, "noise-c-basic.json": 16}
NOT_APPLICABLE = ("fallback", "NoisePSK_")


def sides(vector, name):
    """Both handshakes as the vector describes them."""
    for initiator, side in ((True, "init"), (False, "resp")):
        static = vector.get(f"{side}_static")
        ephemeral = bytes.fromhex(vector[f"{side}_ephemeral"])
        yield NoiseHandshake(
            name,
            initiator=initiator,
            prologue=bytes.fromhex(vector[f"{side}_prologue"]),
            entropy=lambda n, ephemeral=ephemeral: ephemeral[:n],
            static=KeyPair.from_bytes(bytes.fromhex(static)) if static else None,
            remote_static=bytes.fromhex(vector.get(f"{side}_remote_static", "")),
            psks=[bytes.fromhex(psk) for psk in vector.get(f"{side}_psks", [])],
        )


def replay(vector, name):
    """Drive both sides through all messages of a vector, comparing every byte."""
    a, b = sides(vector, name)
    ciphers = None
    for number, message in enumerate(vector["messages"]):
        payload = bytes.fromhex(message["payload"])
        ciphertext = bytes.fromhex(message["ciphertext"])
        writer, reader = (a, b) if number % 2 == 0 else (b, a)
        if not a.finished:
            assert writer.write(payload) == ciphertext
            assert reader.read(ciphertext) == payload
            continue
        if ciphers is None:
            assert a.hash == b.hash
            if "handshake_hash" in vector:
                assert a.hash.hex() == vector["handshake_hash"]
            ciphers = {a: a.split(), b: b.split()}
        assert ciphers[writer][0].encrypt(payload) == ciphertext
        assert ciphers[reader][1].decrypt(ciphertext) == payload
    assert ciphers is not None


@pytest.mark.parametrize(("file", "expected"), FILES.items())
def test_official_vectors(vectors, file, expected):
    ran = 0
    seen = set()
    for vector in vectors(file)["vectors"]:
        name = vector.get("protocol_name") or vector["name"]
        if any(word in name for word in NOT_APPLICABLE):
            continue
        replay(vector, name)
        seen.add(name)
        ran += 1
    assert ran == expected
    assert LINK in seen
    assert file != "noise-cacophony.json" or JOIN in seen


def test_fallback_is_refused(vectors):
    names = [vector["name"] for vector in vectors("noise-c-fallback.json")["vectors"]]
    assert names
    for name in names:
        with pytest.raises(LocalProtocolError):
            NoiseHandshake(name, initiator=True, prologue=b"", entropy=bytes)
