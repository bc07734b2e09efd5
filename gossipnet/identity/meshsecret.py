"""The mesh secret: a file that members' homes may hold, so that strangers get no answer at all.

It is mixed into the first bytes of every connection (`protocol.preamble`) and worth nothing more:
whoever knows it still needs a certificate. It is no part of tokens; it goes from machine to machine
as keys do, by hand or by whatever sets machines up.
"""

from pathlib import Path

from gossipnet.errors import HomeError, IdentityError
from gossipnet.identity.files import present, read_private, write_private

MESH_SECRET = "mesh.secret"  # noqa: S105 - a file's name
LEAST_BYTES = 16
MOST_BYTES = 1024


def read_mesh_secret(home: Path, given: Path | None = None) -> bytes:
    """The secret, without white space around it; empty when there is none.

    Args:
      home: The home folder, whose ``mesh.secret`` is used if nothing else is given.
      given: Where the settings say it is.

    Raises:
      HomeError: It is not where it should be, or open to others.
      IdentityError: It is too short to be one, or absurdly long.
    """
    path = given or home / MESH_SECRET
    if given is None and not present(path):
        return b""
    try:
        secret = read_private(path, MOST_BYTES).strip()
    except FileNotFoundError:
        raise HomeError(
            f"there is no mesh secret at {path}: copy it from another member, or leave the setting "
            "mesh_secret out if the mesh has none"
        ) from None
    if len(secret) < LEAST_BYTES:
        raise IdentityError(
            f"{path} holds {len(secret)} bytes, and a mesh secret has at least {LEAST_BYTES}: make "
            f"one with `head -c 32 /dev/urandom | base64`, the same for all members"
        )
    return secret


def keep_mesh_secret(home: Path, secret: bytes) -> None:
    """Put it where the daemon finds it.

    Raises:
      HomeError: The disk will not do.
    """
    write_private(home / MESH_SECRET, secret + b"\n")
