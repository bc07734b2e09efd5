"""A token for one machine, and fifty that try it at once over real sockets, or by a relay."""

import os
import time
from pathlib import Path

import trio

from gossipnet.errors import JoinError, TokenError
from gossipnet.identity.home import CERTIFICATE, Home
from gossipnet.io.enrol import enrol
from gossipnet.node import Node, open_node

ANY = "127.0.0.1:0"
COUNT = 50


async def mint(node: Node, uses: int = 1) -> str:
    token = node.engine.invite("member", uses, 3600.0, [])
    node.driver.flush()
    await node.driver.wait_committed(node.engine.ticket())
    return token


async def knock(home: Home, token: str, through: Node, told: list[str]) -> bool:
    """Whether a machine was let in; what it was told otherwise."""
    try:
        # Not the token's addresses: this one's alone.
        await enrol(home, token, home.path.name, [through.listening[0]], lambda _line: None)
    except (TokenError, JoinError) as error:
        told.append(str(error))
        return False
    return True


async def test_fifty_at_once_get_exactly_one_certificate(tmp_path: Path) -> None:
    issuer = tmp_path / "issuer"
    Home(issuer).found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    async with open_node(issuer, listen=ANY) as ada:
        member = Home(tmp_path / "member")
        assert await knock(member, await mint(ada), ada, [])
        async with open_node(member.path, listen=ANY, join=ada.listening) as bob:
            with trio.fail_after(20):
                while not bob.engine.peers():  # noqa: ASYNC110 - a link is no event for us
                    await trio.sleep(0.01)
            token = await mint(ada)
            homes = [Home(tmp_path / f"n{number}") for number in range(COUNT)]
            told: list[str] = []
            won: list[Home] = []

            async def try_it(number: int, home: Home) -> None:
                if await knock(home, token, ada if number % 3 == 0 else bob, told):
                    won.append(home)

            with trio.fail_after(120):
                async with trio.open_nursery() as nursery:
                    for number, home in enumerate(homes):
                        nursery.start_soon(try_it, number, home)
            assert len(won) == 1, told
            assert sum(home.exists() for home in homes) == 1
            assert any("has been used" in text for text in told)
            assert bob.engine.context.counters["joins_relayed"] > 0

            # Who was too late, or was not even heard, is told so when it asks again.
            late = next(home for home in homes if home not in won)
            told.clear()
            assert not await knock(late, token, bob, told)
            assert "has been used" in told[0]

            # The winner's answer was lost: the same home asks again, with the same token.
            certificate = won[0].path / CERTIFICATE
            before = certificate.read_bytes()
            certificate.unlink()
            assert await knock(won[0], token, bob, told)
            assert certificate.read_bytes() == before

            book = ada.engine.invites()
            uses = [row for row in book["admitted"] if token_of(book) == row["token"]]  # type: ignore[attr-defined]
            assert [row["name"] for row in uses] == [won[0].path.name]
            assert abs(uses[0]["wall"] - time.time()) < 300


def token_of(book: dict[str, object]) -> str:
    """The last token that was minted."""
    rows: list[dict[str, object]] = book["tokens"]  # type: ignore[assignment]
    assert all((row["uses"], row["used"], row["state"]) == (1, 1, "used") for row in rows)
    admitted: list[dict[str, object]] = book["admitted"]  # type: ignore[assignment]
    return str(admitted[-1]["token"])
