"""Where the node's key comes from, if not from ``identity.key``: a command, or systemd.

A command prints what ``identity.key`` would hold: it asks a keyring, a TPM, a vault. systemd puts a
credential named ``gossipnet-key`` into a folder that only this service sees, decrypted from what
``systemd-creds encrypt`` made of that file; see systemd.exec(5), LoadCredentialEncrypted. Either is
asked once, and the key is nowhere on disk in plain.
"""

import functools
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from gossipnet.errors import HomeError, IdentityError
from gossipnet.identity.keyfile import MAX_KEY_FILE_BYTES, read_seed
from gossipnet.identity.signing import SecretKey

CREDENTIAL = "gossipnet-key"
COMMAND_SECONDS = 120.0
"""A person may have to type something or touch a key."""

Source = Callable[[], SecretKey]


def key_source(command: str | None, env: Mapping[str, str]) -> Source | None:
    """What gives the node key; None: the home's own file.

    Args:
      command: The setting ``key_command``; comes before a credential.
      env: The process's environment.
    """
    if command:
        return functools.cache(lambda: _from_command(command))
    folder = env.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL).exists():
        return functools.cache(lambda: _from_credential(Path(folder) / CREDENTIAL))
    return None


def _from_credential(path: Path) -> SecretKey:
    # systemd guards the folder; the file's owner and mode differ from version to version.
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise HomeError(f"cannot read the credential {path}: {error.strerror}") from None
    return read_seed("node", data, str(path))


def _from_command(command: str) -> SecretKey:
    """Run without a shell; what it says on standard error goes to ours."""
    try:
        words = shlex.split(command)
        if not words:
            raise ValueError("it is empty")
        done = subprocess.run(  # noqa: S603 - the owner of the home says what to run
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=COMMAND_SECONDS,
            check=False,
            env=os.environ,
        )
    except subprocess.TimeoutExpired:
        raise IdentityError(
            f"key_command gave no key within {COMMAND_SECONDS:.0f} s: run it by hand to see why"
        ) from None
    except (OSError, ValueError) as error:
        raise IdentityError(f"key_command cannot be run: {error}; see config.toml") from None
    if done.returncode != 0:
        raise IdentityError(
            f"key_command ended with {done.returncode} and no key: run it by hand to see why"
        )
    if len(done.stdout) > MAX_KEY_FILE_BYTES:
        raise IdentityError("key_command printed more than a key file: it must print that alone")
    return read_seed("node", done.stdout, "what key_command printed")
