"""Noise's handshake patterns (section 7 of the specification) and protocol names, as data.

``XXhfs`` is XX with the key-encapsulation tokens of the "hybrid forward secrecy" drafts: the
initiator sends a fresh ML-KEM key with its ephemeral one (``e1``), the responder answers with a
secret encapsulated to it (``ekem1``) right after ``ee``. The drafts' name for the group had to
become alphanumeric (libp2p/specs pull request 727).
"""

from typing import NamedTuple

from gossipnet.errors import LocalProtocolError

HASHES = ("BLAKE2s", "SHA256")
_GROUPS = {"25519": False, "25519+MLKEM768": True}


class Pattern(NamedTuple):
    """One handshake pattern: what each side knows before, and the messages."""

    initiator_pre: str
    responder_pre: str
    messages: tuple[str, ...]


PATTERNS: dict[str, Pattern] = {
    "NN": Pattern("", "", ("e", "e ee")),
    "NK": Pattern("", "s", ("e es", "e ee")),
    "NX": Pattern("", "", ("e", "e ee s es")),
    "KK": Pattern("s", "s", ("e es ss", "e ee se")),
    "XK": Pattern("", "s", ("e es", "e ee", "s se")),
    "XX": Pattern("", "", ("e", "e ee s es", "s se")),
    "XX1": Pattern("", "", ("e", "e ee s", "es s se")),
    "XXhfs": Pattern("", "", ("e e1", "e ee ekem1 s es", "s se")),
    "IK": Pattern("", "s", ("e es s ss", "e ee se")),
    "IK1": Pattern("", "s", ("e s", "e ee se es")),
    "IX": Pattern("", "", ("e s", "e ee se s es")),
}


def parse(protocol: str) -> tuple[Pattern, str, bool]:
    """Pattern with its psk modifiers applied (section 9.4), hash, and whether there is a psk.

    Raises:
      LocalProtocolError: Nothing that this program speaks.
    """
    try:
        framework, handshake, group, cipher, hash_name = protocol.split("_")
        name, mark, modifiers = handshake.partition("psk")
        name = name.removesuffix("+") if mark else name  # a second modifier stands behind a +
        pattern = PATTERNS[name]
        if (framework, cipher) != ("Noise", "ChaChaPoly") or hash_name not in HASHES:
            raise ValueError
        if _GROUPS[group] != name.endswith("hfs"):
            raise ValueError
        messages = list(pattern.messages)
        for position in modifiers.split("+psk") if mark else ():
            number = int(position)
            if number == 0:
                messages[0] = f"psk {messages[0]}"
            else:
                messages[number - 1] += " psk"
    except (ValueError, KeyError, IndexError):
        raise LocalProtocolError(f"unsupported Noise protocol {protocol!r}") from None
    return pattern._replace(messages=tuple(messages)), hash_name, bool(mark)
