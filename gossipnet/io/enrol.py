"""Enrolling this machine: knock at one member after another until the issuer has answered.

The key is made before the first knock and kept, so a join whose answer was lost can be tried again
with the same token. A refusal is the issuer's word and ends it; a member that cannot be reached, or
cannot reach the issuer, is passed over. Knows nothing of what is said: that is `Joiner`.
"""

import os
import time
from collections.abc import Callable, Sequence

import trio

from gossipnet.errors import HomeError, JoinError
from gossipnet.identity.home import ISSUER_KEY, Home, NodeIdentity
from gossipnet.identity.meshsecret import keep_mesh_secret
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.token import decode_token
from gossipnet.io.dialer import DialError, connect
from gossipnet.io.seeds import write_seeds
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.joining import Joined, Joiner

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 15.0
"""The member that is asked may have to find the issuer first."""
_READ_BYTES = 16_384


class _Passed(Exception):
    """This address did not help; the text says why, for people."""


async def enrol(
    home: Home,
    token_text: str,
    name: str,
    addresses: Sequence[str],
    say: Callable[[str], None],
    secret: bytes = b"",
    *,
    exact: bool = True,
    pq: str = "prefer",
    trying: Callable[[str], None] = lambda _address: None,
) -> NodeIdentity:
    """Get a certificate with a token, and keep it in ``home``.

    Args:
      home: Empty, or left by an earlier attempt.
      token_text: What `gossipnet invite` printed.
      name: The wanted name of this node.
      addresses: ``HOST:PORT`` of members, tried before those in the token.
      say: Takes lines for a person about what happens.
      secret: The mesh's, if it has one; kept in ``home`` too.
      exact: Rather be refused than get another name, should it be taken.
      pq: ``off``, ``prefer`` or ``require`` the hybrid handshake.
      trying: Takes each address before it is asked, which may be seconds before it answers.

    Raises:
      TokenError: The token is not whole, foreign, expired or used.
      JoinError: Nobody could be asked, or the issuer refused; says at which step.
      HomeError: The folder cannot be used, or a node lives there.
    """
    token = decode_token(token_text)
    if home.exists():
        raise HomeError(
            f"{home.path} already holds a node of a mesh: go on with `gossipnet run`, or choose "
            "another folder with --home"
        )
    targets = list(dict.fromkeys([*addresses, *token.addresses]))
    if not targets:
        raise JoinError(
            "the token names no address: give one of a member, gossipnet join TOKEN HOST:PORT"
        )
    key = home.pending_key(os.urandom)
    issuer_key = home.pending_issuer_key(os.urandom)
    failures: list[str] = []
    for target in targets:
        joiner = Joiner(
            token,
            key,
            name,
            issuer_key=issuer_key,
            secret=secret,
            exact=exact,
            pq=PostQuantum(pq),
            entropy=os.urandom,
        )
        trying(target)
        try:
            joined = await _ask(target, joiner)
        except _Passed as error:
            failures.append(f"{target}: {error}")
            say(failures[-1])
            continue
        say(f"{target}: answered; the issuer is who the token says")
        if secret:
            keep_mesh_secret(home.path, secret)
        # First what answered here: what members advertise may not be reachable from this machine.
        kept = [target, *addresses, *joined.addresses, *token.addresses]
        return _keep(home, kept, joined, key, issuer_key)
    told = failures[0] if len(failures) == 1 else f"{len(failures)} addresses failed"
    raise JoinError(
        f"no member could be asked ({told}): is a daemon running there, and may this machine reach "
        "it? Give another member's address with gossipnet join TOKEN HOST:PORT; the token is "
        "still good"
    )


async def _ask(address: str, joiner: Joiner) -> Joined:
    try:
        stream = await connect(address, CONNECT_SECONDS)
    except DialError as error:
        raise _Passed(str(error)) from None
    try:
        with trio.move_on_after(ANSWER_SECONDS):
            return await _converse(stream, joiner)
        raise _Passed("connected, but the issuer did not answer in time")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise _Passed("the connection broke before the issuer answered") from None
    finally:
        await trio.aclose_forcefully(stream)


async def _converse(stream: trio.SocketStream, joiner: Joiner) -> Joined:
    while joiner.result is None:
        data = joiner.data_to_send()
        if data:
            await stream.send_all(data)
        answer = await stream.receive_some(_READ_BYTES)
        if not answer:
            raise _Passed(
                "closed the connection; it may belong to another mesh, not reach the issuer, or "
                "want a mesh secret (--mesh-secret)"
            )
        joiner.receive(answer, time.time())
    return joiner.result


def _keep(
    home: Home, seeds: Sequence[str], joined: Joined, key: SecretKey, issuer_key: SecretKey
) -> NodeIdentity:
    write_seeds(home.path, seeds)
    is_issuer = bool(joined.issuer_chain)
    identity = home.install(
        key,
        joined.chain,
        joined.trust,
        issuer_key=issuer_key if is_issuer else None,
        issuer_chain=joined.issuer_chain,
    )
    if not is_issuer:
        (home.path / ISSUER_KEY).unlink(missing_ok=True)  # made in case the token were an issuer's
    return identity
