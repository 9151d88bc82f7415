"""Alembic migrations of Tunegate's database."""
