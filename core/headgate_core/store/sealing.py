"""Encryption of texts that rest in the store for a while, under the store's own secret."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from sqlalchemy import select

from headgate_core.errors import MissingExtra, StoreError
from headgate_core.store.engine import Store
from headgate_core.store.tables import secrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Sealer:
    """AES-256-GCM with a key of its own for each ``place``, derived from the secret ``content``.

    ``place`` says where a text rests: sealed bytes that were moved elsewhere do not open.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of(cls, store: Store) -> Sealer:
        """The sealer of a store. Blocks. Raises ``StoreError`` if the store has lost its secret."""
        with store.begin() as db:
            found = db.execute(select(secrets.c.value).filter_by(name="content")).scalar()
        if found is None:
            raise StoreError(
                "The store has no secret to encrypt with: restore table `secrets` from a backup."
            )
        return cls(bytes(found))

    def seal(self, plain: bytes, place: str) -> bytes:
        """Nonce and ciphertext. Raises ``MissingExtra`` where ``cryptography`` is missing."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher(place).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What ``seal`` was given. Raises ``StoreError`` when it is not what was sealed there."""
        cipher = self._cipher(place)
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except InvalidTag as error:
            raise StoreError(
                "A kept text cannot be decrypted: it was altered, or the secret was replaced."
            ) from error

    def _cipher(self, place: str) -> AESGCM:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "Keeping texts in the store needs the package `cryptography`. "
                "Install it with: pip install cryptography"
            ) from error
        return AESGCM(hmac.new(self._secret, place.encode(), hashlib.sha256).digest())
