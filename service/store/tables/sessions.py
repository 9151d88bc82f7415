"""Sign-ins of people with a browser."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime


class SignIn(SQLModel, table=True):
    """A session: who signed in, and with what. Its cookie has 256 random bits, of which only the SHA-256 is kept."""

    __tablename__ = "sign_in"
    hash: str = Field(primary_key=True)
    user: str
    team: str | None = Field(default=None, foreign_key="team.name")
    role: str
    # `key` (it ends with the key), `setting` (with the first admin's key, by its hash), `oidc`
    via: str
    key_id: str | None = Field(default=None, foreign_key="api_key.id")
    admin_key_hash: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
